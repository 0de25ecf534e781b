"""What the chart's network policies let through, asked as a cluster's network would be."""

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import pytest
from helm_python.errors import HelmError
from rendered import NAMESPACE, RENDERINGS, environment, of_kind, pod_templates, render, workers

GUARDED = [name for name in RENDERINGS if name != "bare"]
METADATA = ("169.254.169.254", "169.254.169.253", "fd00:ec2::254", "fd20:ce::254")
"""Where clouds hand out the node's own credentials."""
POD_IDENTITY = "169.254.170.23"

Labels = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Who is at the other end: an address outside, or a pod."""

    address: str | None = None
    namespace: str = ""
    labels: Labels = field(default_factory=dict)


def matches(selector: dict[str, Any], labels: Labels) -> bool:
    """Whether a label selector takes something with these labels."""
    kinds = {"In": lambda value, values: value in values, "NotIn": lambda value, values: value not in values}
    asked = selector.get("matchExpressions", [])
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        kinds[one["operator"]](labels.get(one["key"]), one["values"]) for one in asked
    )


def within(block: dict[str, Any], address: str) -> bool:
    """Whether an address lies in a block and in none of its exceptions."""
    where = ip_address(address)
    return where in ip_network(block["cidr"]) and not any(where in ip_network(one) for one in block.get("except", []))


def peer_takes(peer: dict[str, Any], other: Other) -> bool:
    """Whether a rule's peer is this one."""
    if "ipBlock" in peer:
        return other.address is not None and within(peer["ipBlock"], other.address)
    if other.address is not None:
        return False
    named = {"kubernetes.io/metadata.name": other.namespace}
    there = matches(peer["namespaceSelector"], named) if "namespaceSelector" in peer else other.namespace == NAMESPACE
    return there and matches(peer.get("podSelector", {}), other.labels)


def allowed(name: str, way: str, pod: Labels, port: int, **other: Any) -> bool:
    """Whether policies let a pod speak to (`egress`) or be spoken to by (`ingress`) an `Other`, at a port."""
    side, there = {"egress": "to", "ingress": "from"}[way], Other(**other)
    policies = [one["spec"] for one in of_kind(name, "NetworkPolicy") if matches(one["spec"]["podSelector"], pod)]
    closed = [one for one in policies if way.capitalize() in one["policyTypes"]]
    rules = [rule for one in closed for rule in one.get(way, []) if any(at["port"] == port for at in rule["ports"])]
    return not closed or any(peer_takes(peer, there) for rule in rules for peer in rule[side])


def pods(name: str) -> dict[str, Labels]:
    return {component: template["metadata"]["labels"] for component, template in pod_templates(name)}


@pytest.mark.parametrize("name", GUARDED)
def test_every_pod_is_denied_what_is_not_allowed(name: str) -> None:
    for labels in pods(name).values():
        assert not allowed(name, "egress", labels, 22, address="8.8.8.8")
        assert not allowed(name, "egress", labels, 80, address="8.8.8.8")
        assert not allowed(name, "egress", labels, 6443, namespace="default", labels={})
        assert not allowed(name, "ingress", labels, 6379, namespace="elsewhere", labels={})
        assert not allowed(name, "ingress", labels, 5555, namespace="elsewhere", labels={})


@pytest.mark.parametrize("name", GUARDED)
def test_one_policy_shuts_both_ways_for_all_pods_whatever_the_others_open(name: str) -> None:
    [deny] = [one["spec"] for one in of_kind(name, "NetworkPolicy") if not {"ingress", "egress"} & set(one["spec"])]
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert all(matches(deny["podSelector"], labels) for labels in pods(name).values())


def test_without_policies_everything_is_open() -> None:
    assert of_kind("bare", "NetworkPolicy") == []
    assert allowed("bare", "egress", pods("bare")["worker-gpu"], 80, address=METADATA[0])  # so the checks above can fail


@pytest.mark.parametrize("name", GUARDED)
@pytest.mark.parametrize("address", METADATA)
def test_no_pod_reaches_the_metadata_server(name: str, address: str) -> None:
    ports = {80, 443, 53, 988, 9000, 6379, 4318}
    reached = {
        component for component, labels in pods(name).items() for port in ports if allowed(name, "egress", labels, port, address=address)
    }
    assert reached == set()


@pytest.mark.parametrize(
    "cidr", ["169.254.169.254/32", "169.254.0.0/16", "169.0.0.0/8", "128.0.0.0/1", "fd00:ec2::/32", "fd00::/8", "fe80::/10", "2000::/3"]
)
def test_no_value_opens_the_metadata_server(cidr: str) -> None:
    named: dict[str, list[Any]] = {key: [cidr] for key in ("storageCidrs", "redisCidrs", "dnsCidrs")}
    for key, value in (named | {"credentialEndpoints": [{"cidr": cidr, "port": 80}]}).items():
        with pytest.raises(HelmError, match=key):
            render({"networkPolicy": {key: value}})


def test_pod_identity_is_reached_where_a_profile_needs_it_and_by_none_without_rights() -> None:
    reached = {name for name in GUARDED if allowed(name, "egress", pods(name)["worker-gpu"], 80, address=POD_IDENTITY)}
    assert reached == {"aws-spot"}
    assert not allowed("aws-spot", "egress", pods("aws-spot")["flower"], 80, address=POD_IDENTITY)


@pytest.mark.parametrize("name", GUARDED)
def test_storage_is_reached_by_those_who_work_with_it_alone(name: str) -> None:
    address, port = ("10.1.2.3", 9000) if name == "onprem" else ("52.216.1.1", 443)
    reached = {component for component, labels in pods(name).items() if allowed(name, "egress", labels, port, address=address)}
    assert reached == set(pods(name)) - {"flower", "redis"}


def test_an_endpoint_in_the_cluster_is_reached_where_it_is_named() -> None:
    url = urlsplit(environment(workers("everything")["worker-cpu"]["containers"][0])["FRAMEFLEET_OPENAI_BASE_URL"])
    port, namespace = url.port or 80, (url.hostname or "").split(".")[1]
    worker, flower = (pods("everything")[component] for component in ("worker-cpu", "flower"))
    assert allowed("everything", "egress", worker, port, namespace=namespace, labels={})
    assert not allowed("everything", "egress", worker, port, namespace="elsewhere", labels={})
    assert not allowed("everything", "egress", flower, port, namespace=namespace, labels={})


def test_the_collector_is_reached_by_those_who_are_traced_alone() -> None:
    labels = pods("everything")
    reached = {component for component, pod in labels.items() if allowed("everything", "egress", pod, 4318, namespace="tracing", labels={})}
    assert reached == set(labels) - {"flower", "redis"}
    assert not allowed("everything", "egress", labels["worker-gpu"], 4318, namespace="elsewhere", labels={})
    assert not allowed("everything", "egress", labels["worker-gpu"], 4318, address="8.8.8.8")


@pytest.mark.parametrize("name", GUARDED)
def test_names_are_looked_up_by_all(name: str) -> None:
    dns = {"k8s-app": "kube-dns"}
    assert all(allowed(name, "egress", labels, 53, namespace="kube-system", labels=dns) for labels in pods(name).values())


def test_the_charts_redis_is_reached_from_both_ends_by_the_fleet_and_by_keda() -> None:
    found = pods("everything")
    redis = found["redis"]
    for component in set(found) - {"redis", "audit"}:
        assert allowed("everything", "egress", found[component], 6379, namespace=NAMESPACE, labels=redis)
        assert allowed("everything", "ingress", redis, 6379, namespace=NAMESPACE, labels=found[component])
    assert allowed("everything", "ingress", redis, 6379, namespace="keda", labels={})
    assert not allowed("everything", "egress", found["audit"], 6379, namespace=NAMESPACE, labels=redis)
    assert not allowed("everything", "ingress", redis, 6379, namespace="captions-2", labels=found["worker-gpu"])


def test_a_redis_elsewhere_is_reached_at_its_addresses_and_port() -> None:
    worker = pods("redis-elsewhere")["worker-gpu"]
    assert allowed("redis-elsewhere", "egress", worker, 6380, address="10.0.3.7")
    assert not allowed("redis-elsewhere", "egress", worker, 6379, address="10.0.3.7")
    assert not allowed("redis-elsewhere", "egress", worker, 6380, address="10.0.4.7")


def test_metrics_are_scraped_from_the_monitoring_namespace_alone() -> None:
    found = pods("everything")
    for component, port in (("metrics", 9100), ("flower", 5555), ("worker-gpu", 9101), ("worker-cpu", 9101), ("launch", 9101)):
        assert allowed("everything", "ingress", found[component], port, namespace="monitoring", labels={"app": "prometheus"})
        assert not allowed("everything", "ingress", found[component], port, namespace="elsewhere", labels={})
    assert not allowed("everything", "ingress", found["redis"], 6379, namespace="monitoring", labels={})
    assert allowed("everything", "ingress", found["flower"], 5555, namespace="operators", labels={})


def test_what_is_scraped_has_the_ports_that_the_monitor_names() -> None:
    [monitor] = of_kind("everything", "ServiceMonitor")
    services = [one for one in of_kind("everything", "Service") if matches(monitor["spec"]["selector"], one["metadata"]["labels"])]
    ports = {port["name"]: port["port"] for one in services for port in one["spec"]["ports"]}
    assert ports == {"metrics": 9100, "http": 5555}
    assert {one["port"] for one in monitor["spec"]["endpoints"]} == set(ports)
    containers = [one for _, template in pod_templates("everything") for one in template["spec"]["containers"]]
    assert set(ports) <= {one["name"] for container in containers for one in container.get("ports", [])}


def test_each_worker_and_the_producer_are_scraped_where_they_serve() -> None:
    [monitor] = of_kind("everything", "PodMonitor")
    found = {component for component, labels in pods("everything").items() if matches(monitor["spec"]["selector"], labels)}
    assert found == {"worker-gpu", "worker-cpu", "launch"}
    assert [one["port"] for one in monitor["spec"]["podMetricsEndpoints"]] == ["metrics"]
