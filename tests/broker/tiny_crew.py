"""Starts such workers, and says what they did."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from celery import Celery

from broker.app import App, make_app
from broker.embedded import redis_server_path, start_child
from broker.queues import redis_of

HERE = Path(__file__).parent
DONE = "tiny:done"


@dataclass(frozen=True)
class TinyCrew:
    """Workers of one broker, as the tests' own application sees them."""

    url: str
    app: App
    logs: Path
    workers: "list[subprocess.Popen[bytes]]"

    def start(
        self, *, claim_seconds: float = 12, skew_seconds: float = 0, threads: int = 2, ready: bool = True
    ) -> "subprocess.Popen[bytes]":
        """Start a worker."""
        env = os.environ | {"PYTHONPATH": f"{HERE.parents[1]}:{HERE}", "TINY_BROKER": self.url}
        env |= {"TINY_CLAIM_SECONDS": str(claim_seconds), "TINY_SKEW_SECONDS": str(skew_seconds)}
        options = [f"--concurrency={threads}", f"--hostname=w{len(self.workers)}@%h", "--without-gossip", "--without-mingle"]
        words = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "tiny_fleet", "worker", "--pool=threads", *options]
        with (self.logs / f"{len(self.workers)}.log").open("wb") as log:
            worker = start_child(words, env=env, log=log.fileno())
        self.workers.append(worker)
        if ready:
            name = f"w{len(self.workers) - 1}@"
            eventually(lambda: name in str(self.app.control.ping(timeout=0.3)))
        return worker

    def send(self, task: str, *words: object) -> None:
        """Queue a task."""
        self.app.send_task(f"tiny.{task}", args=list(words))

    def done(self) -> list[str]:
        """What was done so far, in order."""
        with redis_of(self.app) as redis:
            return [word.decode() for word in redis.lrange(DONE, 0, -1)]


def eventually(happens: Callable[[], object], *, within_seconds: float = 60) -> float:
    """Wait for it; returns how long it took."""
    begin = time.monotonic()
    while not happens():
        assert time.monotonic() - begin < within_seconds, "it did not happen in time"
        time.sleep(0.02)
    return time.monotonic() - begin


@contextmanager
def tiny_crew(url: str, folder: Path) -> Iterator[TinyCrew]:
    """Workers that do not outlive the block."""
    app = make_app(url)
    crew = TinyCrew(url, app, folder, [])
    try:
        yield crew
    finally:
        for worker in crew.workers:
            worker.kill()
            worker.wait()
        app.close()


@pytest.fixture
def crew(app: Celery, redis_url: str, tmp_path: Path) -> Iterator[TinyCrew]:  # noqa: ARG001 - `app` empties the shared Redis
    """Workers that find an empty Redis."""
    with tiny_crew(redis_url, tmp_path) as crew:
        yield crew


@contextmanager
def lasting_redis(folder: Path, *options: str) -> "Iterator[Callable[[], subprocess.Popen[bytes]]]":
    """Yields what starts a server that keeps its data; call it again once the server was killed."""
    socket = ["--port", "0", "--unixsocket", f"{folder}/redis.sock", "--dir", str(folder)]
    words = [redis_server_path(), *socket, "--save", "", "--appendonly", "yes", "--appendfsync", "always", *options]
    servers: list[subprocess.Popen[bytes]] = []

    def start() -> "subprocess.Popen[bytes]":
        servers.append(start_child(words))
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.kill()
            server.wait()
