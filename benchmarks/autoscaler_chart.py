"""The chart as the simulation of its autoscaler reads it, and the set-ups that it is compared with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from autoscaler_hpa import DEFAULT_DOWN, DEFAULT_UP, Counts, Direction, Fallback, Metric, Policy, Scaling
from helm_python import Chart

from schemas.job import SHARD_SECONDS

CHART = Path(__file__).parents[1] / "infra" / "helm" / "framefleet"
FORMULA = re.compile(r"open > 0 \? max\(open / (\d+\.\d+), (\d+\.\d+)\) : 0\.0")
KUBERNETES_GRACE_SECONDS = 30.0

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Setup:
    """How a fleet is scaled, and how its workers work and leave."""

    scaling: Scaling
    shards_at_once: int
    grace_seconds: float
    """In which the worker leaves by itself."""
    termination_seconds: float
    """After which it is killed."""
    told_who_is_busy: bool = False
    """Whether somebody keeps pod-deletion-cost true."""


def set_up(profile: str, changes: Mapping[str, str] | None = None) -> Setup:
    """Read a profile of the chart, rendered; `changes` are of its GPU workers' autoscaling, such as scaleDown.percent=10."""
    return _read(_rendered(profile, tuple(sorted((changes or {}).items()))))


def two_triggers(chart: Setup, *, only_the_queue: bool = False) -> Setup:
    """What is usually written: a trigger for the queue, one for what is in work, and whatever the defaults are."""
    waiting = Metric(chart.shards_at_once, lambda counts: counts.waiting)
    claimed = Metric(chart.shards_at_once, lambda counts: counts.claimed)
    metrics = (waiting,) if only_the_queue else (waiting, claimed)
    return replace(chart, scaling=Scaling(metrics, fewest=0, most=chart.scaling.most), termination_seconds=KUBERNETES_GRACE_SECONDS)


def fixed(chart: Setup, replicas: int) -> Setup:
    """So many workers, always."""
    return replace(chart, scaling=replace(chart.scaling, metrics=(Metric(1, lambda _: replicas),), fewest=replicas, most=replicas))


def shard_seconds(profile: str) -> float:
    """How long the shards are that a profile's launch cuts."""
    options = _values(profile).get("job", {}).get("options", [])
    return float(options[options.index("--shard-seconds") + 1]) if "--shard-seconds" in options else SHARD_SECONDS


def _values(profile: str) -> Manifest:
    found: Manifest = yaml.safe_load((CHART / f"values-{profile}.yaml").read_text(encoding="utf-8"))
    return found


@cache
def _rendered(profile: str, changes: tuple[tuple[str, str], ...]) -> str:
    values = _values(profile)
    scaling = values.setdefault("workers", {}).setdefault("gpu", {}).setdefault("autoscaling", {})
    for name, value in changes:
        *folders, last = name.split(".")
        place = scaling
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = int(value)
    with Chart.load(CHART) as chart:
        texts = chart.render(values, name="fleet", namespace="captions")
    return "\n---\n".join(text for name, text in texts.items() if name.endswith(".yaml"))


def _read(rendered: str) -> Setup:
    objects = [one for one in yaml.safe_load_all(rendered) if one]
    [scaled] = [one["spec"] for one in objects if one["kind"] == "ScaledObject"]
    name = scaled["scaleTargetRef"]["name"]
    [pod] = [one["spec"]["template"]["spec"] for one in objects if (one["kind"], one["metadata"]["name"]) == ("Deployment", name)]
    environment = {one["name"]: one.get("value") for one in pod["containers"][0]["env"]}
    return Setup(
        scaling=_scaling(scaled),
        shards_at_once=int(environment["FRAMEFLEET_SHARDS_AT_ONCE"]),
        grace_seconds=float(environment["FRAMEFLEET_GRACE_SECONDS"]),
        termination_seconds=float(pod["terminationGracePeriodSeconds"]),
    )


def _scaling(scaled: Manifest) -> Scaling:
    behaviour = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    return Scaling(
        metrics=(_metric(scaled["advanced"]["scalingModifiers"]),),
        fewest=scaled["minReplicaCount"],
        most=scaled["maxReplicaCount"],
        polling_seconds=scaled["pollingInterval"],
        cooldown_seconds=scaled["cooldownPeriod"],
        fallback=Fallback(scaled["fallback"]["failureThreshold"], scaled["fallback"]["replicas"]),
        up=_direction(behaviour["scaleUp"], DEFAULT_UP),
        down=_direction(behaviour["scaleDown"], DEFAULT_DOWN),
    )


def _metric(modifiers: Manifest) -> Metric:
    found = FORMULA.fullmatch(modifiers["formula"])
    if found is None:
        raise SystemExit(
            f"The chart's formula is another than is simulated: {modifiers['formula']}. Teach {Path(__file__).name} to read it."
        )
    per_worker, floor = map(float, found.groups())

    def value(counts: Counts) -> float:
        return max(counts.open / per_worker, floor) if counts.open > 0 else 0.0

    return Metric(float(modifiers["target"]), value)


def _direction(rules: Manifest, default: Direction) -> Direction:
    policies = tuple(Policy(one["type"], one["value"], one["periodSeconds"]) for one in rules.get("policies", ()))
    return Direction(rules.get("stabilizationWindowSeconds", default.window_seconds), policies or default.policies)
