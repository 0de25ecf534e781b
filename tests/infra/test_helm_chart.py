"""The chart is well formed: it lints, renders for every profile, gives only what clusters take, and takes only what it knows."""

import json
import re
import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from custom_kinds import CUSTOM
from helm_python import Chart, lint
from helm_python.errors import HelmError
from jsonschema import ValidationError
from rendered import CHART, JOB, PROFILES, RENDERINGS, SPECIAL, manifests, manifests_in, of_kind, render, values_of

OLDEST, NEWEST = "1.27", kubernetes_validate.latest_version()
LATEST_IS_NO_TAG = re.compile(r"^[\w./-]+:(?!latest\b)[\w.-]+(@sha256:[0-9a-f]{64})?$")
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


def validate(manifest: dict[str, Any], version: str) -> None:
    """Hold an object to the schema of its kind, in which no unknown key is allowed."""
    if manifest["kind"] in CUSTOM:
        CUSTOM[manifest["kind"]].validate(manifest)
    else:
        kubernetes_validate.validate(manifest, version, strict=True)


def each_once() -> list[dict[str, Any]]:
    """Every object of every rendering; many are the same in all of them."""
    return [json.loads(text) for text in sorted({json.dumps(one, sort_keys=True) for name in RENDERINGS for one in manifests(name)})]


def refuses(values: dict[str, Any]) -> bool:
    with Chart.load(CHART) as chart:
        try:
            chart.validate_schema(values)
        except HelmError:
            return True
    return False


def put(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Values that set one thing."""
    for key in reversed(path):
        value = {key: value}
    return value  # type: ignore[no-any-return]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return SCHEMA["definitions"][name] if name else schema


def places(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every value that the schema names, and what it says of it; free maps and lists are values."""
    for key, one in schema["properties"].items():
        found = resolved(one)
        yield (*path, key), found
        if "properties" in found:
            yield from places(found, (*path, key))


@pytest.mark.parametrize("name", RENDERINGS)
def test_the_chart_lints(name: str) -> None:
    report = lint(CHART, values_of(name), strict=True)
    assert report["errors"] == []
    assert [one for one in report["messages"] if one["severity"] > 1] == []


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_clusters_of_today_and_of_the_oldest_version_take_every_object(version: str) -> None:
    wrong = {}
    for manifest in each_once():
        try:
            validate(manifest, version)
        except (ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            wrong[f"{manifest['kind']}/{manifest['metadata']['name']}"] = error.message
    assert wrong == {}


def test_the_oldest_version_is_the_charts_own() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["kubeVersion"] == f">={OLDEST}.0-0"


@pytest.mark.parametrize(
    "kind", ["Deployment", "Job", "NetworkPolicy", "ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PodMonitor"]
)
def test_a_key_that_a_kind_does_not_know_is_noticed(kind: str) -> None:
    [manifest, *_] = of_kind("everything", kind)
    validate(manifest, NEWEST)
    manifest["spec"]["surprise"] = 1
    with pytest.raises(ValidationError):
        validate(manifest, NEWEST)


@pytest.mark.parametrize("name", RENDERINGS)
def test_no_two_objects_have_one_name(name: str) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in manifests(name)]
    assert sorted(names) == sorted(set(names))
    assert [found for _, found in names if len(found) > 63] == []


def test_the_longest_release_name_still_fits() -> None:
    with Chart.load(CHART) as chart:
        found = manifests_in(chart.render(SPECIAL["everything"], name="a" * 53, namespace="captions"))
    most = {"CronJob": 52}
    assert [one["metadata"]["name"] for one in found if len(one["metadata"]["name"]) > most.get(one["kind"], 63)] == []


@pytest.mark.parametrize("name", RENDERINGS)
def test_every_image_has_a_tag_that_stays(name: str) -> None:
    images = set(re.findall(r'"image": "([^"]*)"', json.dumps(manifests(name))))
    assert images
    assert [image for image in images if not LATEST_IS_NO_TAG.match(image)] == []


def test_a_digest_pins_the_image() -> None:
    digest = f"sha256:{'0' * 64}"
    assert f"framefleet/worker-gpu:0.1.0@{digest}" in render({"images": {"gpu": {"digest": digest}}})["framefleet/templates/workers.yaml"]


def test_no_secret_is_made_or_written_into_a_manifest() -> None:
    assert [one for name in RENDERINGS for one in of_kind(name, "Secret")] == []


def test_every_value_has_a_comment() -> None:
    bare, lines = [], (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        key = re.match(r"^ *([\w-]+):", line)
        if key and not before.lstrip().startswith("# ") and " # " not in line:
            bare.append(line.strip())
    assert bare == []


def test_the_values_and_their_schema_name_the_same() -> None:
    def known(path: tuple[str, ...]) -> bool:
        value: Any = VALUES
        for key in path:
            if not isinstance(value, dict) or key not in value:
                return False
            value = value[key]
        return True

    assert [".".join(path) for path, _ in places(SCHEMA) if path != ("global",) and not known(path)] == []
    assert not refuses({})  # and so the schema knows each of the values, since it allows no others


@pytest.mark.parametrize("profile", [*PROFILES, *SPECIAL])
def test_the_schema_takes_every_profile(profile: str) -> None:
    assert not refuses(values_of(profile))


def test_the_schema_refuses_unknown_keys_everywhere() -> None:
    closed = [((), SCHEMA), *((path, found) for path, found in places(SCHEMA) if "properties" in found)]
    assert len(closed) > 40
    assert [".".join(path) for path, _ in closed if not refuses(put((*path, "surprise"), 1))] == []


def test_the_schema_refuses_wrong_types_everywhere() -> None:
    wrong = {path: ["a list"] if found.get("type") == "object" else {"a": "map"} for path, found in places(SCHEMA)}
    assert [".".join(path) for path, value in wrong.items() if not refuses(put(path, value))] == []


@pytest.mark.parametrize(
    "values",
    [
        {"images": {"gpu": {"tag": "latest"}}},
        {"uid": 0},
        {"job": {"out": "captions/run-1"}},
        {"job": {"sources": ["--out"]}},
        {"redis": {"maxmemory": "lots"}},
        {"workers": {"gpu": {"autoscaling": {"fallback": {"replicas": 0}}}}},
        {"workers": {"gpu": {"autoscaling": {"scaleDown": {"stabilizationSeconds": 3601}}}}},
        {"workers": {"gpu": {"engine": "tensorrt"}}},
        {"workers": {"gpu": {"graceSeconds": 1}}},
        {"workers": {"gpu": {"env": {"lower": "case"}}}},
        {"workers": {"tpu": {"enabled": True}}},
        {"reconcile": {"schedule": "hourly"}},
        {"logs": {"format": "xml"}},
        {"tracing": {"endpoint": "collector:4318"}},
        {"tracing": {"samplerRatio": 1.5}},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_what_makes_no_sense(values: dict[str, Any]) -> None:
    assert refuses(values)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"job": {"sources": JOB["sources"]}}, "job.out"),
        ({"redis": {"enabled": False}}, "redis.external"),
        ({"redis": {"enabled": False, "external": {"address": "redis:6379", "secret": "redis"}}}, "networkPolicy.redisCidrs"),
        ({"workers": {"gpu": {"model": {"cache": "none"}}}}, "workers.gpu.model"),
        ({"workers": {"gpu": {"graceSeconds": 110}}}, "terminationSeconds"),
    ],
)
def test_what_is_missing_is_asked_for_by_name(values: dict[str, Any], told: str) -> None:
    with pytest.raises(HelmError, match=re.escape(told)):
        render(values)


@pytest.mark.parametrize("name", RENDERINGS)
def test_the_notes_say_what_to_do_next(name: str) -> None:
    values, notes = values_of(name), render(values_of(name))["framefleet/templates/NOTES.txt"]
    assert "in namespace captions" in notes
    assert ("framefleet status s3://captions/run-1" if "job" in values else "Nothing is launched yet") in notes
    assert ("port-forward svc/fleet-framefleet-flower" in notes) == (name != "bare")
    assert ("network policies" in notes) == (name == "bare")


def test_a_job_that_asks_for_something_else_is_another_job() -> None:
    def name_of(**job: Any) -> str:
        [found] = [one for one in manifests_in(render({"job": JOB | job})) if one["kind"] == "Job"]
        return str(found["metadata"]["name"])

    assert name_of() == name_of()
    assert name_of() != name_of(options=["--every", "3"])


def test_rules_and_dashboards_are_taken_from_files(tmp_path: Path) -> None:
    chart = Path(shutil.copytree(CHART, tmp_path / "framefleet"))
    rule = {"alert": "QueueStuck", "expr": "a > 1", "for": "5m", "annotations": {"summary": "{{ $labels.job }} is stuck"}}
    (chart / "rules").mkdir(exist_ok=True)
    (chart / "rules" / "framefleet.yaml").write_text(yaml.safe_dump({"groups": [{"name": "queue", "rules": [rule]}]}), encoding="utf-8")
    (chart / "dashboards").mkdir(exist_ok=True)
    (chart / "dashboards" / "one_job.json").write_text('{"title": "{{ job }}"}\n', encoding="utf-8")
    found = manifests_in(render(deepcopy(SPECIAL["everything"]), chart))
    [rules] = [one for one in found if one["kind"] == "PrometheusRule"]
    validate(rules, NEWEST)
    assert rules["spec"]["groups"][0]["rules"] == [rule]
    [board] = [one for one in found if one["kind"] == "ConfigMap" and one["metadata"]["name"].endswith("-dashboard-one-job")]
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["one_job.json"]) == {"title": "{{ job }}"}
