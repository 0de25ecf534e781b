"""Every program of the chart logs as the values say; where they name a collector it is traced, and may reach that and nothing beside it."""

import os

import pytest
from rendered import NAMESPACE, RELEASE, RENDERINGS, Manifest, environment, manifests_in, of_kind, pod_templates, render, values_of

from workers.settings import LogSettings, TraceSettings, WorkerSettings

TRACED = {"everything": ("http://collector.tracing.svc:4318", "0.5"), "redis-elsewhere": ("https://traces.example/otlp", "0.01")}
OTHERS = {"flower", "redis"}
"""They log in their own ways."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith(("FRAMEFLEET_", "OTEL_"))]:
        monkeypatch.delenv(variable)


def programs(name: str) -> dict[str, dict[str, str]]:
    """The environment of each program that works on a job, by its component."""
    pods = [(component, template["spec"]) for component, template in pod_templates(name) if component not in OTHERS]
    return {component: environment(spec["containers"][0]) for component, spec in pods}


def ways_to_collectors(objects: list[Manifest]) -> list[Manifest]:
    """The rules of the policies for traces."""
    policies = [one["spec"] for one in objects if one["kind"] == "NetworkPolicy" and one["metadata"]["name"].endswith("-tracing")]
    return [rule for spec in policies for rule in spec["egress"]]


def way_to(endpoint: str) -> tuple[Manifest, int]:
    """To whom and to which port a collector's address opens the way."""
    [rule] = ways_to_collectors(manifests_in(render({"tracing": {"endpoint": endpoint}})))
    [peer], [port] = rule["to"], rule["ports"]
    return peer, port["port"]


@pytest.mark.parametrize("name", RENDERINGS)
def test_every_program_logs_as_the_values_say(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"format": "json", "level": "info"} | values_of(name).get("logs", {})
    assert programs(name)
    for env in programs(name).values():
        with monkeypatch.context() as patched:
            for variable, value in env.items():
                patched.setenv(variable, value)
            settings = LogSettings()
        assert (settings.log_format, settings.log_level) == (wanted["format"], wanted["level"])


@pytest.mark.parametrize("name", RENDERINGS)
def test_every_program_is_traced_where_a_collector_is_named_and_nowhere_else(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint, ratio = TRACED.get(name, ("", ""))
    for env in programs(name).values():
        with monkeypatch.context() as patched:
            for variable, value in env.items():
                patched.setenv(variable, value)
            settings = TraceSettings()
            assert WorkerSettings().traces == settings
        assert settings.wanted == bool(endpoint)
        assert settings.exporter_otlp_endpoint == endpoint
        assert env.get("OTEL_TRACES_SAMPLER_ARG", "") == ratio
        assert "OTEL_TRACES_SAMPLER" not in env or env["OTEL_TRACES_SAMPLER"] == "traceidratio"


def test_traces_say_of_which_fleet_they_are() -> None:
    told = {env["OTEL_RESOURCE_ATTRIBUTES"] for env in programs("everything").values()}
    assert told == {f"service.namespace={NAMESPACE}/{RELEASE}"}


def test_without_a_collector_no_way_is_opened() -> None:
    assert [name for name in RENDERINGS if ways_to_collectors(of_kind(name, "NetworkPolicy"))] == list(TRACED)


@pytest.mark.parametrize(
    ("endpoint", "namespace", "port"),
    [
        ("http://collector.tracing.svc:4318", "tracing", 4318),
        ("http://collector.tracing.svc.cluster.local:4318", "tracing", 4318),
        ("http://collector:4318", NAMESPACE, 4318),
        ("https://collector.tracing.svc", "tracing", 443),
        ("http://collector.tracing.svc/otlp", "tracing", 80),
    ],
)
def test_a_collector_in_the_cluster_is_reached_in_its_namespace_at_its_port(endpoint: str, namespace: str, port: int) -> None:
    assert way_to(endpoint) == ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}, port)


@pytest.mark.parametrize(
    ("endpoint", "port"), [("https://traces.example/otlp", 443), ("http://10.1.2.3:4318", 4318), ("https://a.b.svcs", 443)]
)
def test_a_collector_elsewhere_is_reached_as_storage_is_without_the_metadata_server(endpoint: str, port: int) -> None:
    assert way_to(endpoint) == ({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}, port)
