"""The chart as a cluster would get it."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart

INFRA = Path(__file__).parents[2] / "infra"
CHART = INFRA / "helm" / "framefleet"
RELEASE, NAMESPACE = "fleet", "captions"
JOB = {"sources": ["s3://videos/2026/"], "out": "s3://captions/run-1"}

Manifest = dict[str, Any]
Values = dict[str, Any]

SPECIAL: dict[str, Values] = {
    "default": {},
    "everything": {
        "job": JOB | {"recipe": "vidcap-12b", "options": ["--every", "2"]},
        "imagePullSecrets": ["pull"],
        "redis": {"keyPrefix": "captions:"},
        "flower": {"allowedNamespaces": ["operators"]},
        "logs": {"format": "text", "level": "debug"},
        "tracing": {"endpoint": "http://collector.tracing.svc:4318", "samplerRatio": 0.5},
        "monitoring": {"monitors": True, "rules": True, "dashboards": True, "labels": {"release": "prometheus"}},
        "networkPolicy": {
            "storageCidrs": ["0.0.0.0/0", "::/0"],
            "dnsCidrs": ["169.254.20.10/32"],
            "services": [{"namespace": "models", "port": 8000}],
        },
        "serviceAccounts": {"worker": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/worker"}}},
        "workers": {
            "gpu": {"model": {"cache": "claim", "storageClass": "shared"}, "dollarsPerHour": 2.5, "recipe": "vidcap-12b"},
            "cpu": {
                "enabled": True,
                "env": {"FRAMEFLEET_OPENAI_BASE_URL": "http://model.models.svc:8000/v1"},
                "secretEnv": {"FRAMEFLEET_OPENAI_API_KEY": {"name": "openai", "key": "key"}},
                "engine": "openai",
                "affinity": {"podAntiAffinity": {}},
                "priorityClassName": "batch",
            },
        },
    },
    "redis-elsewhere": {
        "job": JOB,
        "redis": {
            "enabled": False,
            "keyPrefix": "two:",
            "external": {
                "address": "redis.example:6380",
                "secret": "redis",
                "query": "ssl_cert_reqs=required",
                "username": "fleet",
                "database": 3,
            },
        },
        "networkPolicy": {"redisCidrs": ["10.0.3.0/24"]},
        "tracing": {"endpoint": "https://traces.example/otlp"},
    },
    "bare": {
        "flower": {"enabled": False},
        "metrics": {"enabled": False, "workerPort": 0},
        "networkPolicy": {"enabled": False},
        "workers": {"gpu": {"autoscaling": {"enabled": False}}},
    },
}
PROFILES = ("aws-spot", "gcp-spot", "onprem")
RENDERINGS = (*SPECIAL, *PROFILES)
"""Values files of the chart with a job, and values that reach every other branch of the templates."""


def values_of(name: str) -> Values:
    """What a rendering sets."""
    if name in SPECIAL:
        return deepcopy(SPECIAL[name])
    values: Values = yaml.safe_load((CHART / f"values-{name}.yaml").read_text(encoding="utf-8"))
    return values | {"job": values.get("job", {}) | JOB}


def render(values: Mapping[str, Any], chart: Path = CHART) -> dict[str, str]:
    """Each template and what came of it."""
    with Chart.load(chart) as loaded:
        return loaded.render(dict(values), name=RELEASE, namespace=NAMESPACE)


def manifests_in(texts: Mapping[str, str]) -> list[Manifest]:
    """The objects in rendered templates."""
    documents = (one for name, text in texts.items() if name.endswith(".yaml") for one in yaml.safe_load_all(text))
    return [one for one in documents if one is not None]


@cache
def _cached(name: str) -> str:
    return json.dumps(manifests_in(render(values_of(name))))


def manifests(name: str) -> list[Manifest]:
    """The objects of a rendering."""
    found: list[Manifest] = json.loads(_cached(name))
    return found


def of_kind(name: str, kind: str) -> list[Manifest]:
    """The objects of one kind in a rendering."""
    return [one for one in manifests(name) if one["kind"] == kind]


def pod_templates(name: str) -> Iterator[tuple[str, Manifest]]:
    """Each component that runs, and its pod's template."""
    for one in manifests(name):
        spec = one.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template is not None:
            yield template["metadata"]["labels"]["app.kubernetes.io/component"], template


def workers(name: str) -> dict[str, Manifest]:
    """The pods of workers by their component."""
    return {component: template["spec"] for component, template in pod_templates(name) if component.startswith("worker-")}


def environment(container: Manifest) -> dict[str, str]:
    """A container's variables as its program sees them, with what secrets hold made up."""
    found: dict[str, str] = {}
    for one in container.get("env", []):
        value = one["value"] if "value" in one else made_up(one["name"])
        for name, known in found.items():
            value = value.replace(f"$({name})", known)
        found[one["name"]] = value
    return found


def made_up(name: str) -> str:
    """What a secret might hold."""
    return "rediss://fleet:secret@redis.example:6380/3" if name == "REDIS_URL" else "secret"
