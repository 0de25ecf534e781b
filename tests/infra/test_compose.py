"""The compose file says what Compose takes, runs commands that exist with settings that exist, and opens nothing but loopback."""

import re
from importlib.metadata import version
from typing import Any

import pytest
import yaml
from command_lines import SETTINGS, UsageError, options_in_environment, understands
from composed import FILE, FOLDER, Composition, Service, composition, document, told_commands, variables_in
from pydantic import ValidationError

from workers.settings import WorkerSettings

OURS = ("framefleet/tools", "framefleet/worker-cpu")
SEEN_FROM_THE_HOST = {"s3": 7070, "flower": 5555, "prometheus": 9090, "grafana": 3000}
CHOSEN = {"REDIS_PASSWORD": "one", "S3_ACCESS_KEY": "two", "S3_SECRET_KEY": "three", "JOB": "s3://captions/run-2"}


@pytest.fixture
def services() -> dict[str, Service]:
    return composition().services


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS | options_in_environment():
        monkeypatch.delenv(name, raising=False)


def put_on(monkeypatch: pytest.MonkeyPatch, service: Service) -> None:
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)


def ours(found: Composition) -> dict[str, Service]:
    return {name: one for name, one in found.services.items() if one.image.startswith(OURS)}


def test_there_is_all_that_a_fleet_needs(services: dict[str, Service]) -> None:
    always = {name for name, one in services.items() if not one.profiles}
    assert always == {"redis", "s3", "buckets", "worker", "metrics", "flower", "prometheus", "grafana"}
    assert services.keys() - always == {"tools", "put"}


@pytest.mark.parametrize("where", [("services", "worker"), ("services", "redis", "healthcheck"), ("networks", "front"), ()])
def test_a_key_that_nobody_knows_is_refused(where: tuple[str, ...]) -> None:
    found: Any = document({})
    part = found
    for name in where:
        part = part[name]
    part["surprise"] = "x"
    with pytest.raises(ValidationError, match="surprise"):
        Composition.model_validate(found)


def test_the_example_names_every_variable_and_no_other_and_leaves_the_defaults() -> None:
    lines = (FOLDER / ".env.example").read_text(encoding="utf-8").splitlines()
    named = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert named.keys() == variables_in(FILE.read_text(encoding="utf-8")).keys()
    assert composition(**named) == composition()


def test_every_variable_of_ours_is_a_setting_or_an_option() -> None:
    found = {variable for one in ours(composition()).values() for variable in one.environment if variable.startswith("FRAMEFLEET_")}
    assert found
    assert found - SETTINGS - options_in_environment() == set()


def test_the_worker_reads_its_settings_and_has_the_time_to_leave(services: dict[str, Service], monkeypatch: pytest.MonkeyPatch) -> None:
    worker = services["worker"]
    put_on(monkeypatch, worker)
    settings = WorkerSettings()
    assert {variable for variable in worker.environment if variable.startswith("FRAMEFLEET_")} <= SETTINGS
    assert worker.stop_grace_period >= settings.grace_seconds + 10
    assert str(settings.health_folder) in worker.tmpfs_paths
    assert settings.shards_at_once * settings.decode_memory_bytes + settings.picture_bytes_in_memory < worker.mem_limit
    assert settings.engine == "opencv"


def test_every_command_exists_and_takes_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [one for one in ours(composition()).values() if one.words[0] == "framefleet"]
    probes = [one.healthcheck.test[1:] for one in found if one.healthcheck and one.healthcheck.test[1] == "framefleet"]
    assert [probe[:3] for probe in probes] == [["framefleet", "health", "alive"]]
    for one in found:
        with monkeypatch.context() as patched:
            put_on(patched, one)
            if one.words[1:] != ["--help"]:
                understands(one.words[1:])
    for probe in probes:
        understands(probe[1:])


def test_what_the_readme_tells_to_type_is_understood(services: dict[str, Service], monkeypatch: pytest.MonkeyPatch) -> None:
    told = [words[3:] for words in told_commands() if words[:3] == ["run", "--rm", "tools"]]
    put_on(monkeypatch, services["tools"])
    assert {words[0] for words in told} >= {"launch", "status", "audit"}
    for words in told:
        understands(words)
    with pytest.raises((UsageError, SystemExit)):
        understands([*told[0], "--surprise"])
    named = [word for words in told_commands() for word in words[1:] if word in services]
    assert {"put", "worker"} <= set(named)
    assert {words[0] for words in told_commands()} <= {"up", "run", "stop", "logs", "down"}


def test_only_loopback_is_opened_and_by_whom_the_readme_says(services: dict[str, Service]) -> None:
    opened = {name: port for name, one in services.items() for port in one.ports}
    assert {name: port.target for name, port in opened.items()} == SEEN_FROM_THE_HOST
    assert {port.address for port in opened.values()} == {"127.0.0.1"}
    told = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", (FOLDER / "README.md").read_text(encoding="utf-8"))}
    assert told == {port.published for port in opened.values()} == set(SEEN_FROM_THE_HOST.values())


def test_a_way_out_has_only_what_is_seen_from_the_host(services: dict[str, Service]) -> None:
    networks = composition().networks
    assert networks["backend"].internal
    assert {name for name, one in services.items() if "front" in one.networks} == set(SEEN_FROM_THE_HOST)
    assert [name for name, one in services.items() if "backend" not in one.networks] == []


def test_every_container_is_held_tight(services: dict[str, Service]) -> None:
    for name, one in services.items():
        assert one.read_only, name
        assert one.cap_drop == ["ALL"], name
        assert one.security_opt == ["no-new-privileges:true"], name
        assert "/tmp" in one.tmpfs_paths, name  # noqa: S108 - where a read-only container writes
        assert all("size=" in tmpfs for tmpfs in one.tmpfs), name
    assert {name for name, one in services.items() if one.user.startswith("0:")} == {"s3"}
    assert {one.user for one in ours(composition()).values()} == {"10001:10001"}
    assert services["worker"].shm_size < services["worker"].mem_limit


def test_who_serves_is_started_again_and_who_is_waited_for_says_how_it_is(services: dict[str, Service]) -> None:
    for name, one in services.items():
        serves = one.healthcheck is not None
        assert one.restart == ("unless-stopped" if serves else {"buckets": "on-failure"}.get(name, "no")), name
        for needed, how in one.depends_on.items():
            assert (how.condition == "service_healthy") == (services[needed].healthcheck is not None), needed


def test_all_that_is_mounted_is_there(services: dict[str, Service]) -> None:
    mounts = [(name, mount) for name, one in services.items() for mount in one.volumes if mount.target != "/from"]
    files = [mount for _, mount in mounts if mount.path]
    assert [mount.source for mount in files if not (mount.path and mount.path.exists())] == []
    assert [mount.source for mount in files if not mount.read_only] == []
    named = [mount.source for _, mount in mounts if not mount.path]
    assert sorted(named) == sorted(composition().volumes)  # none is shared


def chart() -> Any:
    return yaml.safe_load((FOLDER.parent / "helm" / "framefleet" / "values.yaml").read_text(encoding="utf-8"))


def test_images_are_pinned_built_from_here_and_those_of_the_chart(services: dict[str, Service]) -> None:
    assert services["redis"].image == "{repository}:{tag}".format(**chart()["images"]["redis"])
    for one in ours(composition()).values():
        assert one.user.split(":")[0] == str(chart()["uid"])
        assert one.build is not None
        assert one.build.args == {"VERSION": version("framefleet")}
        context = FOLDER / one.build.context
        assert (context / "pyproject.toml").exists()
        stages = re.findall(r"^FROM \S+ AS (\S+)$", (context / one.build.dockerfile).read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert one.build.target in stages
        assert one.image == f"framefleet/{one.build.target}:{version('framefleet')}"


@pytest.mark.parametrize("variables", [{}, CHOSEN])
def test_those_who_share_a_secret_agree_on_it(variables: dict[str, str]) -> None:
    services = composition(**variables).services
    password, s3 = services["redis"].environment["REDISCLI_AUTH"], services["s3"].environment
    urls = {one.environment["FRAMEFLEET_BROKER_URL"] for one in services.values() if "FRAMEFLEET_BROKER_URL" in one.environment}
    assert urls == {f"redis://:{password}@redis:6379/0"}
    keys = {
        (one.environment["AWS_ACCESS_KEY_ID"], one.environment["AWS_SECRET_ACCESS_KEY"])
        for one in services.values()
        if "AWS_REGION" in one.environment
    }
    assert keys == {(s3["ROOT_ACCESS_KEY_ID"], s3["ROOT_SECRET_ACCESS_KEY"])}
    assert password == variables.get("REDIS_PASSWORD", "loopback")


def test_what_the_exporter_follows_is_what_the_readme_launches(services: dict[str, Service]) -> None:
    [launched] = [words for words in told_commands() if "launch" in words]
    assert services["metrics"].words[services["metrics"].words.index("--job") + 1] == launched[launched.index("--out") + 1]
    assert composition(**CHOSEN).services["metrics"].words[3] == CHOSEN["JOB"]
    assert services["put"].words[-1] == launched[launched.index("launch") + 1]


def test_flower_changes_nothing_and_asks_who_is_there(services: dict[str, Service]) -> None:
    flower = services["flower"]
    assert flower.words == ["framefleet", "flower"]
    assert flower.environment["FLOWER_READ_ONLY"] == "true"
    assert composition(FLOWER_PASSWORD="x").services["flower"].environment["FLOWER_BASIC_AUTH"] == "operator:x"
    assert not {name for name in flower.environment if name.startswith("AWS_")}
