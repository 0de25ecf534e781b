"""Flower, started as an operator starts it, and what it tells over HTTP."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fleet_runs import Running, free_port, running, wait_until

USER, PASSWORD = "operator", "not told to anybody"
FLOWER = [sys.executable, "-m", "fleet.flower"]


@dataclass(frozen=True)
class Flower:
    """One that answers."""

    url: str
    process: Running
    operator: httpx.Client
    stranger: httpx.Client

    def tasks(self) -> dict[str, Any]:
        """What it knows of shards, by their messages' names."""
        return dict(self.operator.get("/api/tasks", params={"limit": 1000}).raise_for_status().json())

    def task(self, of: Callable[[Any], bool]) -> Any:
        """The first shard of which something is true; None if there is none."""
        return next((task for task in self.tasks().values() if of(task)), None)

    def states(self) -> list[str]:
        return sorted(str(task["state"]) for task in self.tasks().values())

    def workers(self) -> dict[str, bool]:
        """The workers that its first page lists, and whether each is online."""
        listed = self.operator.get("/workers", params={"json": 1}).raise_for_status().json()["data"]
        return {worker["hostname"]: worker["status"] for worker in listed}

    def queues(self) -> dict[str, int]:
        found = self.operator.get("/api/queues/length").raise_for_status().json()["active_queues"]
        return {queue["name"]: queue["messages"] for queue in found}


@contextmanager
def flower(
    broker: str, folder: Path, *, words: Callable[[int], list[str]] | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Flower]:
    """Start Flower on a broker and wait for its pages; `words` makes another command line from a port."""
    port = free_port()
    said = [*FLOWER, "--broker", broker, "--port", str(port), "--address", "127.0.0.1"] if words is None else words(port)
    asked = {"FLOWER_BASIC_AUTH": f"{USER}:{PASSWORD}"} | dict(env or {})
    url = f"http://127.0.0.1:{port}"
    client = {"base_url": url, "trust_env": False, "timeout": 30}
    with (
        running(said, folder, asked) as process,
        httpx.Client(**client, auth=(USER, PASSWORD)) as operator,  # type: ignore[arg-type]
        httpx.Client(**client) as stranger,  # type: ignore[arg-type]
    ):
        wait_until(lambda: process.family() and answers(stranger), within_seconds=60)
        yield Flower(url, process, operator, stranger)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthcheck").text == "OK"
    except httpx.TransportError:
        return False
