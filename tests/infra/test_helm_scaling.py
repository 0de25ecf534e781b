"""The chart's ScaledObjects count what the broker holds, and its Redis runs as it is told."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from builders import HandmadeJob, film, new_store
from fleet_runs import free_port, redis_server, wait_until
from helm_python import HelmError
from rendered import RELEASE, RENDERINGS, Manifest, environment, of_kind, pod_templates, render, workers

from broker.address import Address
from broker.app import make_app
from broker.embedded import redis_server_path
from broker.queues import ShardQueue

SCALED = [name for name in RENDERINGS if name != "bare"]
FORMULA = re.compile(r"open > 0 \? max\(open / (\d+\.\d+), (\d+\.\d+)\) : 0\.0")
"""KEDA's expressions tell 2 from 2.0, and a formula that gives a whole number is an error: so each number has its point."""


def scaled(name: str) -> list[Manifest]:
    return [one["spec"] for one in of_kind(name, "ScaledObject")]


def formula_of(spec: Manifest) -> Callable[[int], float]:
    """What KEDA makes of the number of open shards."""
    found = FORMULA.fullmatch(spec["advanced"]["scalingModifiers"]["formula"])
    assert found is not None
    per_worker, floor = map(float, found.groups())
    return lambda open_shards: max(open_shards / per_worker, floor) if open_shards > 0 else 0.0


def counted(url: str, spec: Manifest) -> int:
    """What KEDA's redis scaler would read: the size of the key, by its type."""
    key = spec["triggers"][0]["metadata"]["listName"]
    with redis.Redis.from_url(url) as client:
        sizes = {"set": client.scard, "list": client.llen, "hash": client.hlen, "zset": client.zcard, "none": lambda _: 0}
        return int(sizes[client.type(key).decode()](key))


@pytest.mark.parametrize("name", SCALED)
def test_workers_follow_the_open_shards(name: str) -> None:
    for spec in scaled(name):
        wanted = formula_of(spec)
        assert wanted(0) == 0 == float(spec["advanced"]["scalingModifiers"]["activationTarget"])
        assert wanted(1) > 0  # the first shard wakes the fleet
        assert wanted(10_000_000) > spec["maxReplicaCount"] >= wanted(1)
        assert spec["triggers"][0]["name"] == "open"


@pytest.mark.parametrize("name", SCALED)
def test_workers_that_are_full_ask_for_more_as_soon_as_shards_wait(name: str) -> None:
    pods = workers(name)
    for spec in scaled(name):
        component = spec["scaleTargetRef"]["name"].removeprefix(f"{RELEASE}-framefleet-")
        at_once = int(environment(pods[component]["containers"][0])["FRAMEFLEET_SHARDS_AT_ONCE"])
        assert formula_of(spec)(10 * at_once) >= 10
        assert formula_of(spec)(15 * at_once) > 11  # a tenth is within the autoscaler's tolerance


def test_more_shards_per_worker_than_it_works_at_once_are_refused() -> None:
    with pytest.raises(HelmError, match=r"shardsPerWorker \(9\) must not be more than shardsAtOnce \(8\)"):
        render({"workers": {"gpu": {"autoscaling": {"shardsPerWorker": 9}}}})


@pytest.mark.parametrize("name", SCALED)
def test_a_redis_that_does_not_answer_sends_nobody_home(name: str) -> None:
    for spec in scaled(name):
        assert spec["fallback"]["replicas"] > 0
        assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
        assert spec["advanced"]["scalingModifiers"]["target"] == "1"  # KEDA falls back to target x replicas, of whole targets alone
        assert spec["advanced"]["scalingModifiers"]["metricType"] == "AverageValue"


@pytest.mark.parametrize("name", SCALED)
def test_workers_go_more_slowly_than_they_come(name: str) -> None:
    for spec in scaled(name):
        behaviour = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        down, up = behaviour["scaleDown"], behaviour["scaleUp"]
        assert down["stabilizationWindowSeconds"] >= 300 > up["stabilizationWindowSeconds"]
        assert [one["type"] for one in down["policies"]] == ["Percent"]
        assert spec["cooldownPeriod"] >= 300


@pytest.mark.parametrize("name", SCALED)
def test_what_is_scaled_is_there_and_nobody_else_says_how_many(name: str) -> None:
    deployments = {one["metadata"]["name"]: one["spec"] for one in of_kind(name, "Deployment")}
    assert scaled(name)
    for spec in scaled(name):
        assert "replicas" not in deployments[spec["scaleTargetRef"]["name"]]


def test_without_an_autoscaler_the_values_say_how_many() -> None:
    assert scaled("bare") == of_kind("bare", "TriggerAuthentication") == []
    [worker] = of_kind("bare", "Deployment")
    assert worker["spec"]["replicas"] == 1


@pytest.mark.parametrize("name", SCALED)
def test_keda_asks_the_broker_that_the_workers_have(name: str) -> None:
    [authentication] = of_kind(name, "TriggerAuthentication")
    [secret] = authentication["spec"]["secretTargetRef"]
    worker = next(template["spec"]["containers"][0] for component, template in pod_templates(name) if component.startswith("worker-"))
    url = environment(worker)["FRAMEFLEET_BROKER_URL"]
    for spec in scaled(name):
        asked = spec["triggers"][0]["metadata"]
        host, _, number = url.rpartition("@")[2].partition("?")[0].partition("/")
        assert (asked["address"], asked["databaseIndex"], asked["enableTLS"]) == (host, number, str(url.startswith("rediss:")).lower())
        assert asked["listName"].removesuffix("claims:once") == Address.of(url).key_prefix
        assert spec["triggers"][0]["authenticationRef"]["name"] == authentication["metadata"]["name"]
    assert secret["name"] in {one["valueFrom"]["secretKeyRef"]["name"] for one in worker["env"] if "valueFrom" in one}


@pytest.mark.parametrize("name", ["default", "everything"])
def test_the_key_that_keda_counts_holds_what_waits_and_what_is_in_work(name: str, tmp_path: Path) -> None:
    spec, handmade = scaled(name)[0], HandmadeJob()
    prefix = spec["triggers"][0]["metadata"]["listName"].removesuffix("claims:once")
    with redis_server(tmp_path) as url:
        app = make_app(f"{url}?key_prefix={prefix}" if prefix else url)
        queue = ShardQueue(app)
        assert counted(url, spec) == 0
        queue.send_all([handmade.task(film(new_store(), f"{number}.mp4")) for number in range(3)])
        assert (counted(url, spec), queue.depth()) == (3, 3)
        with app.connection_for_read() as connection:
            message = connection.default_channel.basic_get("framefleet")
            assert (counted(url, spec), queue.depth()) == (3, 2)  # in work, and still counted
            message.channel.basic_ack(message.delivery_tag)
            assert (counted(url, spec), queue.depth()) == (2, 2)
        app.close()


@pytest.fixture
def charts_redis(tmp_path: Path) -> Iterator[redis.Redis]:
    """A server started by the very words of the chart's StatefulSet, but for the port and the folder."""
    [container] = next(template["spec"]["containers"] for component, template in pod_templates("default") if component == "redis")
    port, script = free_port(), container["args"][0]
    assert (script.count(" 6379 "), script.count(" /data ")) == (1, 1)
    words = [*container["command"], script.replace(" 6379 ", f" {port} ").replace(" /data ", f" {tmp_path} ")]
    path = f"{Path(redis_server_path()).parent}:/usr/bin:/bin"
    server = subprocess.Popen(words, env={"PATH": path, "REDISCLI_AUTH": "s3cret"}, stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port, password="s3cret")
    try:
        wait_until(lambda: answers(client), within_seconds=20)
        yield client
    finally:
        client.close()
        server.terminate()
        server.wait()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_the_charts_redis_keeps_messages_and_asks_for_a_password(charts_redis: redis.Redis) -> None:
    told = charts_redis.config_get("*")
    assert (told["maxmemory-policy"], told["maxmemory"]) == ("noeviction", str(2 << 30))
    assert (told["appendonly"], told["appendfsync"]) == ("yes", "everysec")
    port = charts_redis.connection_pool.connection_kwargs["port"]
    with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
