"""Prometheus asks where the programs serve, and Grafana finds Prometheus and the dashboards, as files alone can tell."""

import json
import re
from inspect import signature
from typing import Any

import pytest
import yaml
from command_lines import default_of, understands
from composed import FOLDER, Service, composition

from fleet.flower import flower

PROVISIONING = FOLDER / "grafana" / "provisioning"


def loaded(path: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / path).read_text(encoding="utf-8"))
    return found


@pytest.fixture
def services() -> dict[str, Service]:
    return composition().services


def scraped() -> dict[str, Any]:
    return {job["job_name"]: job for job in loaded("prometheus.yml")["scrape_configs"]}


def flowers_port() -> int:
    """Where Flower's pages are, unless it is told otherwise, which it is not."""
    assert "FLOWER_PORT" not in composition().services["flower"].environment
    port: int = signature(flower).parameters["port"].default
    return port


def test_prometheus_asks_where_the_programs_serve(services: dict[str, Service]) -> None:
    [found] = scraped()["framefleet-worker"]["dns_sd_configs"]
    assert found["names"] == ["worker"]
    assert str(found["port"]) == services["worker"].environment["FRAMEFLEET_METRICS_PORT"]
    fixed = {name: job["static_configs"] for name, job in scraped().items() if "static_configs" in job}
    assert fixed == {
        "framefleet-metrics": [{"targets": [f"metrics:{default_of('metrics', 'port')}"]}],
        "framefleet-flower": [{"targets": [f"flower:{flowers_port()}"]}],
        "prometheus": [{"targets": ["localhost:9090"]}],
    }


def test_prometheus_finds_a_launch_that_serves_where_the_readme_says(services: dict[str, Service]) -> None:
    [found] = scraped()["framefleet-launch"]["dns_sd_configs"]
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    [(container, service, port)] = re.findall(r"compose run --rm --name (\w+) (\w+) launch .* --metrics-port (\d+)`", readme)
    assert (found["names"], found["port"]) == ([container], int(port))
    assert container not in services  # which would be found by this name too
    assert set(services[service].networks) & set(services["prometheus"].networks)
    understands(["launch", "s3://videos/", "--out", "s3://captions/run-1", "--broker", "redis://redis:6379/0", "--metrics-port", port])


def test_whom_prometheus_asks_it_can_reach_and_replicas_have_no_port_to_quarrel_over(services: dict[str, Service]) -> None:
    for name in ("worker", "metrics", "flower"):
        assert set(services[name].networks) & set(services["prometheus"].networks)
    assert services["worker"].ports == []


def test_rules_lie_where_prometheus_looks(services: dict[str, Service]) -> None:
    targets = {mount.target for mount in services["prometheus"].volumes}
    assert {f"/etc/prometheus/{name}" for name in loaded("prometheus.yml")["rule_files"]} <= targets
    assert "--config.file=/etc/prometheus/prometheus.yml" in services["prometheus"].words
    assert "/prometheus" in targets
    assert "--storage.tsdb.path=/prometheus" in services["prometheus"].words


def test_grafana_asks_prometheus(services: dict[str, Service]) -> None:
    found = loaded("grafana/provisioning/datasources/prometheus.yaml")
    [source] = found["datasources"]
    [port] = services["prometheus"].ports
    assert found["apiVersion"] == 1
    assert (source["type"], source["access"], source["isDefault"]) == ("prometheus", "proxy", True)
    assert source["url"] == f"http://prometheus:{port.target}"
    assert source["jsonData"]["timeInterval"] == loaded("prometheus.yml")["global"]["scrape_interval"]
    assert set(source) == {"name", "uid", "type", "access", "url", "isDefault", "editable", "jsonData"}


def test_grafana_finds_the_dashboards_and_they_the_source(services: dict[str, Service]) -> None:
    found = loaded("grafana/provisioning/dashboards/framefleet.yaml")
    [provider] = found["providers"]
    mounts = {mount.target: mount.path for mount in services["grafana"].volumes}
    assert found["apiVersion"] == 1
    assert provider["type"] == "file"
    assert {"/etc/grafana/provisioning": PROVISIONING, "/dashboards": mounts[provider["options"]["path"]]}.items() <= mounts.items()
    dashboards = [json.loads(path.read_text(encoding="utf-8")) for path in mounts["/dashboards"].glob("*.json")]
    assert dashboards
    for dashboard in dashboards:
        assert sources_in(dashboard) <= known_sources(dashboard), dashboard["title"]


def known_sources(dashboard: dict[str, Any]) -> set[str]:
    """Sources that a dashboard may name: the provisioned one, those it asks the reader to choose, and Grafana's own."""
    [source] = loaded("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    chosen = {one["name"] for one in dashboard.get("templating", {}).get("list", []) if one["type"] == "datasource"}
    return {source["uid"], "-- Grafana --", "grafana"} | {f"${{{name}}}" for name in chosen} | {f"${name}" for name in chosen}


def sources_in(part: Any) -> set[str]:
    """The sources that any part of a dashboard names."""
    match part:
        case dict():
            here = {part["datasource"]["uid"]} if isinstance(part.get("datasource"), dict) and "uid" in part["datasource"] else set()
            return here.union(*(sources_in(one) for one in part.values()))
        case list():
            return set().union(*(sources_in(one) for one in part))
        case _:
            return set()
