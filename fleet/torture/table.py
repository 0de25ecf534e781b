"""What a torture has found: one table for people, one object for scripts, and the verdict."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from fleet.torture.kills import STAGES
from fleet.torture.run import Outcome

CONFIDENCE = 3.0
"""Of K kills that lost nothing, each loses less than 3/K with 95 % confidence (the rule of three)."""
DEEDS = (
    "freezes",
    "zombies",
    "redis kills",
    "flushes",
    "storms",
    "drains",
    "copies",
    "producer kills",
    "deaths told by keepers",
    "aims missed",
)


def as_object(outcome: Outcome) -> dict[str, Any]:
    """All of an outcome, for scripts; `lost` are inputs that the queue lost, `lost_for_good` those that storage could not bring back."""
    verdict = outcome.verdict
    return {
        "units": verdict.units,
        "kills": deadly(outcome),
        "kills_by_stage": dict.fromkeys(STAGES, 0) | dict(outcome.kills),
        "deeds": dict(outcome.deeds),
        "faults": dict(outcome.faults),
        "lost": outcome.lost_by_queue + verdict.lost,
        "lost_for_good": verdict.lost,
        "duplicated": verdict.duplicated,
        "partial": verdict.partial,
        "mismatched": verdict.mismatched,
        "misjudged": verdict.misjudged,
        "left_over": verdict.left_over + len(outcome.left_in_broker),
        "extra_percent": extra_percent(outcome),
        "recovery_s": spread(sorted(outcome.recovery_seconds + outcome.told_recovery_seconds)),
        "recovery_unseen_s": spread(outcome.recovery_seconds),
        "recovery_told_s": spread(outcome.told_recovery_seconds),
        "drain_s": spread(outcome.drain_seconds),
        "drained_badly": outcome.drained_badly,
        "ended_by_themselves": {f"status {status}": count for status, count in outcome.ends.items()},
        "dead_by_reason": dict(sorted(verdict.dead_by_reason.items())),
        "expected_dead_by_reason": dict(sorted(verdict.expected_dead.items())),
        "loss_per_kill_below": loss_bound(outcome),
        "seconds": round(outcome.seconds, 1),
        "findings": verdict.words + [f"left in the broker: {key}" for key in outcome.left_in_broker],
    }


def holds(outcome: Outcome) -> bool:
    """Whether nothing was lost, doubled, spoiled, misjudged or left over, and every drain ended in time."""
    return outcome.verdict.clean and not (outcome.lost_by_queue or outcome.left_in_broker or outcome.drained_badly)


def deadly(outcome: Outcome) -> int:
    """SIGKILLs of workers, frozen or not."""
    return sum(outcome.kills.values()) + outcome.deeds.get("freezes", 0)


def extra_percent(outcome: Outcome) -> float:
    """How many executions there were beyond one of each shard."""
    return round(100 * (outcome.executions / outcome.shards - 1), 1) if outcome.shards else 0.0


def loss_bound(outcome: Outcome) -> float | None:
    """Upper bound, at 95 %, of the chance that a kill loses an input; None where some were lost, or nothing was killed."""
    lost = outcome.lost_by_queue + outcome.verdict.lost
    return None if lost or not deadly(outcome) else round(CONFIDENCE / deadly(outcome), 4)


def spread(seconds: Sequence[float]) -> dict[str, float | None]:
    """Median, 95th percentile and largest of sorted times."""
    if not seconds:
        return {"p50": None, "p95": None, "max": None}
    at = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    return {name: round(seconds[min(len(seconds) - 1, int(share * len(seconds)))], 1) for name, share in at.items()}


def print_outcomes(console: Console, outcomes: Mapping[str, Outcome]) -> None:
    """Print one table with a column for each transport, and what was found wrong below it."""
    objects = {name: as_object(outcome) for name, outcome in outcomes.items()}
    table = Table("", *objects, box=None, header_style="bold")
    for name, told in ROWS:
        table.add_row(name, *(told(found) for found in objects.values()))
    console.print(table)
    for name, found in objects.items():
        for words in found["findings"]:
            console.print(f"  {name}: {words}", soft_wrap=True)


def _counts(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in found.items() if count) or "none"


def _seconds(found: Mapping[str, Any]) -> str:
    return " / ".join("-" if value is None else f"{value:g}" for value in found.values())


def _plain(key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda found: f"{found[key]}"


ROWS: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("units (videos)", _plain("units")),
    ("SIGKILLs of workers", _plain("kills")),
    ("  by stage", lambda found: _counts(found["kills_by_stage"])),
    ("  other deeds", lambda found: _counts({deed: found["deeds"].get(deed, 0) for deed in DEEDS})),
    ("  faults of the store", lambda found: _counts(found["faults"])),
    ("lost by the queue or for good", _plain("lost")),
    ("  lost for good", _plain("lost_for_good")),
    ("duplicated", _plain("duplicated")),
    ("partial", _plain("partial")),
    ("captions of other pictures", _plain("mismatched")),
    ("dead of another reason", _plain("misjudged")),
    ("left over", _plain("left_over")),
    ("extra executions, %", _plain("extra_percent")),
    ("recovery p50 / p95 / max, s", lambda found: _seconds(found["recovery_s"])),
    ("  of deaths that nobody saw", lambda found: _seconds(found["recovery_unseen_s"])),
    ("  of deaths that a keeper told of", lambda found: _seconds(found["recovery_told_s"])),
    ("drain p50 / p95 / max, s", lambda found: _seconds(found["drain_s"])),
    ("  too late or not in order", _plain("drained_badly")),
    ("workers that ended by themselves", lambda found: _counts(found["ended_by_themselves"])),
    ("dead letters", lambda found: _counts(found["dead_by_reason"])),
    ("  expected", lambda found: _counts(found["expected_dead_by_reason"])),
    ("loss per kill, 95 % below", lambda found: "-" if found["loss_per_kill_below"] is None else f"{found['loss_per_kill_below']:g}"),
    ("seconds", _plain("seconds")),
)
