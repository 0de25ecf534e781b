"""Brings the compose file up without containers, has a job done as its README tells, and writes down what was seen.

Run in namespaces of its own (`compose_ground.NAMESPACES`): compose_world.py FOLDER. What cannot be had here stays out: Grafana, and the S3
server, for which moto's stands in.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from compose_ground import Folders, raise_loopback, serve_names
from composed import Composition, Service, composition, told_commands

from broker.embedded import redis_server_path

CHECKOUT = Path(__file__).parents[2]
REPLICAS = {"worker": 2}
PATIENCE_SECONDS = 240
CHOSEN = {"REDIS_PASSWORD": "redis-secret", "S3_ACCESS_KEY": "key", "S3_SECRET_KEY": "secret", "FLOWER_PASSWORD": "flower-secret"}
STAND_INS = {"s3": [sys.executable, "-m", "moto.server", "-H", "0.0.0.0", "-p", "7070"]}  # noqa: S104 - in a network of its own
NOT_HERE = ("grafana",)
PROGRAMS = {"prometheus": ["prometheus"]}
"""What an image runs that names no entrypoint in the compose file."""
BINARIES = [str(Path(sys.executable).parent), str(Path(redis_server_path()).parent), "/usr/local/bin", "/usr/bin", "/bin"]


def until(happens: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        if time.monotonic() > end:
            sys.exit(f"it did not happen in time: {what}")
        time.sleep(0.2)


def fetched(url: str, **asked: Any) -> Any:
    """JSON from there; None while nobody answers well."""
    try:
        answer = httpx.get(url, timeout=10, **asked)
    except httpx.TransportError:
        return None
    return answer.json() if answer.status_code == httpx.codes.OK else None


@dataclass
class Container:
    """A process that has what a container of the service would have, and nothing of this one's environment."""

    name: str
    service: Service
    folder: Path
    address: str
    process: subprocess.Popen[bytes] | None = None

    def start(self, words: list[str]) -> subprocess.Popen[bytes]:
        folders = Folders(self.folder, self.service)
        env = {name: folders.moved(value) for name, value in self.service.environment.items()}
        if self.name in REPLICAS:  # all share one machine's ports: each has to be content with its own address
            env["FRAMEFLEET_METRICS_ADDRESS"] = self.address
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                words if self.name in STAND_INS else [folders.moved(word) for word in words],
                cwd=CHECKOUT,
                env=env | {"PATH": ":".join(BINARIES), "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self.process

    @property
    def words(self) -> list[str]:
        return STAND_INS.get(self.name) or [*PROGRAMS.get(self.name, []), *self.service.words]

    def healthy(self) -> bool:
        """What its health check says; a stand-in is well once it answers."""
        assert self.process is not None
        if self.process.poll() is not None:
            sys.exit(f"{self.name} ended with {self.process.returncode}:\n{self.log}")
        kind, *words = self.service.healthcheck.test if self.service.healthcheck else ["NONE"]
        match kind, words:
            case _ if self.name in STAND_INS:
                return answers(f"http://{self.address}:{self.service.ports[0].target}")
            case "CMD", ["wget", *_]:
                return answers(words[-1])
            case "CMD-SHELL", [line]:
                return self._try(["sh", "-c", line])
            case _:
                return self._try(words)

    def _try(self, words: list[str]) -> bool:
        folders = Folders(self.folder, self.service)
        env = {name: folders.moved(value) for name, value in self.service.environment.items()} | {"PATH": ":".join(BINARIES)}
        return subprocess.run(words, env=env, cwd=CHECKOUT, capture_output=True, check=False).returncode == 0

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code < httpx.codes.INTERNAL_SERVER_ERROR
    except httpx.TransportError:
        return False


@dataclass
class World:
    """All services of a composition."""

    composition: Composition
    folder: Path
    containers: dict[str, list[Container]] = field(default_factory=dict)
    runs: int = 0

    def names(self) -> dict[str, list[str]]:
        """Each service's addresses, one a replica, all of them loopback's."""
        services = [name for name in self.composition.services if name not in NOT_HERE]
        return {name: [f"127.1.{at}.{one + 1}" for one in range(REPLICAS.get(name, 1))] for at, name in enumerate(services)} | {
            "localhost": ["127.0.0.1"]
        }

    def up(self) -> None:
        """All services but those that only commands start: each after what it needs, and none waits for more than that."""
        for name, service in self.composition.services.items():
            if not service.profiles and name not in NOT_HERE:
                self._start(name)
        for name in self.containers:
            self._wait(name)

    def _start(self, name: str) -> None:
        if name in self.containers:
            return
        for needed in self.composition.services[name].depends_on:
            self._start(needed)
            self._wait(needed)
        self.containers[name] = [self._container(name, address) for address in self.names()[name]]
        for one in self.containers[name]:
            one.start(one.words)

    def _wait(self, name: str) -> None:
        """Until it is well, or done if it only does something."""
        for one in self.containers[name]:
            if one.service.healthcheck:
                until(one.healthy, f"{name} is healthy")
            elif one.process and one.process.wait(PATIENCE_SECONDS):
                sys.exit(f"{name} ended with {one.process.returncode}:\n{one.log}")

    def run(self, name: str, *words: str) -> tuple[int, str]:
        """`docker compose run --rm`: once, with other words than the file's if there are any."""
        self.runs += 1
        service = self.composition.services[name]
        one = self._container(name, f"run-{self.runs}")
        entry = service.model_copy(update={"command": list(words) or service.command})
        status = one.start(entry.words).wait(PATIENCE_SECONDS)
        return status, one.log

    def _container(self, name: str, mark: str) -> Container:
        folder = self.folder / f"{name}-{mark}"
        folder.mkdir()
        return Container(name, self.composition.services[name], folder, mark)

    def ends(self, name: str) -> list[int]:
        """How a service's processes end when they are told to."""
        processes = [one.process for one in self.containers[name] if one.process]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        return [process.wait(self.composition.services[name].stop_grace_period) for process in processes]


def typed(words: list[str]) -> tuple[str, list[str]]:
    """Service and words of what the README tells after `docker compose run --rm`."""
    return words[2], words[3:]


def measured(query: str) -> float:
    """A query's only value; 0 while there is none."""
    found = fetched("http://prometheus:9090/api/v1/query", params={"query": query})
    return float(found["data"]["result"][0]["value"][1]) if found and found["data"]["result"] else 0.0


def targets() -> dict[str, list[str]]:
    """Health of each target, by the job it is of."""
    found = fetched("http://prometheus:9090/api/v1/targets")
    health: dict[str, list[str]] = {}
    for target in found["data"]["activeTargets"] if found else []:
        health.setdefault(target["labels"]["job"], []).append(target["health"])
    return health


def rules() -> list[dict[str, Any]]:
    """Every rule, with how it went."""
    return [rule for group in fetched("http://prometheus:9090/api/v1/rules")["data"]["groups"] for rule in group["rules"]]


def done(world: World, status: list[str]) -> bool:
    seen = json.loads(world.run("tools", *status, "--json")[1])
    return bool(seen["plan_complete"] and seen["shards"] == seen["committed_shards"])


def story(world: World) -> dict[str, Any]:
    """What the README tells, from an empty machine to an audited job, and what was seen of it."""
    seen: dict[str, Any] = {}
    world.up()
    told = {words[3] if words[2] == "tools" else words[2]: typed(words) for words in told_commands() if words[0] == "run"}
    for name in ("put", "launch"):
        service, words = told[name]
        seen[name] = world.run(service, *words)
    until(lambda: done(world, told["status"][1]), "the job is done")
    seen["audit"] = world.run(told["audit"][0], *told["audit"][1])
    seen["read"] = world.run(told["read"][0], *told["read"][1])
    lines = len(seen["read"][1].splitlines())
    until(lambda: len(targets().get("framefleet-worker", [])) == REPLICAS["worker"], "Prometheus found the workers")
    until(lambda: all(health == "up" for several in targets().values() for health in several), "every target is up")
    until(lambda: measured('sum(framefleet_frames_total{outcome="captioned"})') >= lines, "all frames are counted")
    until(lambda: measured("framefleet_job_audit_clean") == 1, "the audit is told of")
    seen["targets"] = targets()
    seen["frames"] = {"read": lines, "counted": measured('sum(framefleet_frames_total{outcome="captioned"})')}
    seen["job"] = {name: measured(f"framefleet_job_{name}") for name in ("up", "planned_videos", "committed_videos", "audit_clean")}
    seen["broker_up"] = measured("framefleet_broker_up")
    until(lambda: "unknown" not in {rule["health"] for rule in rules()}, "every rule had its turn")
    seen["rules"] = {rule["name"]: rule.get("lastError", "") for rule in rules() if rule["health"] != "ok"}
    seen["rules_evaluated"] = len(rules())
    seen["flower"] = of_flower(world)
    seen["ends"] = {name: world.ends(name) for name in ("worker", "metrics", "redis")}
    return seen


def of_flower(world: World) -> dict[str, Any]:
    """What Flower tells to whom."""
    user, _, password = world.composition.services["flower"].environment["FLOWER_BASIC_AUTH"].partition(":")
    who = httpx.BasicAuth(user, password)
    until(lambda: fetched("http://flower:5555/api/tasks", auth=who), "Flower knows tasks")
    tasks = fetched("http://flower:5555/api/tasks", auth=who)
    return {
        "stranger": httpx.get("http://flower:5555/api/tasks").status_code,
        "states": [task["state"] for task in tasks.values()],
        "workers": len({task["worker"] for task in tasks.values()}),
        "told": measured('sum(flower_events_total{type="task-succeeded"})'),
    }


def main(folder: Path) -> None:
    os.environ.clear()  # a proxy or a credential of whoever runs the tests reaches nothing here
    raise_loopback()
    variables: Mapping[str, str] = CHOSEN | {"VIDEOS": str(folder / "videos")}
    world = World(composition(**variables), folder / "world")
    world.folder.mkdir()
    serve_names(world.names(), folder)
    (folder / "seen.json").write_text(json.dumps(story(world)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
