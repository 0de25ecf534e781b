"""Producers that kill themselves just before or just after a chosen step, each a process of its own.

A step is a write to the job's folder or a sending of messages. Run as a program this is a nursery: it has everything imported, reads
lives as lines of JSON, and forks a producer for each, one after the other; the producer's life ends by its own hand or in order.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import celery.app.amqp
import celery.worker.state  # noqa: F401 - what is imported here no child has to
from builders import spec_of

import producer.sources.listing
import producer.sources.several  # noqa: F401
from broker.app import make_app
from broker.queues import ShardQueue
from producer.enqueue import Manner, feed
from producer.rounds import new_parts
from producer.window import Limits
from schemas.errors import OperatorError
from schemas.task import ShardTask
from storage.job import Job
from storage.local import LocalStore
from storage.tenure import Pace

TESTS = Path(__file__).parent.parent
BATCH = 20


@dataclass(frozen=True)
class Life:
    """What a producer is to do, and when it dies."""

    source: str
    job: str
    redis: str
    dies_at: int | None = None
    window: int = 10_000
    beat_seconds: float = 3600.0


@dataclass(frozen=True)
class Ended:
    """How a producer ended; what it said is known only if it lived to tell."""

    killed: bool
    sent: int = 0
    steps: int = 0
    said: tuple[str, ...] = ()
    error: str = ""


class Steps:
    """Counts a producer's steps, and ends it at the one it dies at."""

    def __init__(self, dies_at: int | None) -> None:
        self.count, self._dies_at = 0, dies_at

    @contextmanager
    def around(self) -> Iterator[None]:
        self._next()
        yield
        self._next()

    def _next(self) -> None:
        if self.count == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1


class MortalStore(LocalStore):
    """A folder whose writer may die before or after a write."""

    def __init__(self, folder: str, steps: Steps) -> None:
        super().__init__(folder)
        self._steps = steps

    def create(self, key: str, body: bytes) -> bool:
        with self._steps.around():
            return super().create(key, body)

    def replace(self, key: str, body: bytes) -> None:
        with self._steps.around():
            super().replace(key, body)


class MortalQueue(ShardQueue):
    """A queue whose sender may die before or after it sends."""

    def __init__(self, url: str, steps: Steps) -> None:
        super().__init__(make_app(url))
        self._steps = steps

    def send_all(self, tasks: Sequence[ShardTask], *, weight: float | None = None) -> int:
        with self._steps.around():
            return super().send_all(tasks, weight=weight)


def live(life: Life) -> Ended:
    """Launch or go on with a job."""
    steps, said = Steps(life.dies_at), list[str]()
    job, spec = Job(MortalStore(life.job, steps)), spec_of(source=life.source, videos_per_shard=1)
    pace = Pace(beat_seconds=life.beat_seconds, save_seconds=0, watch_seconds=20, look_seconds=0.05)
    manner = Manner(limits=Limits(most=life.window, floor=life.window), batch=BATCH, pace=pace, say=said.append)
    try:
        spec = job.create_spec(spec)
        sent = feed(job, new_parts(job, spec), queue=MortalQueue(life.redis, steps), stopped=lambda: False, manner=manner)
    except OperatorError as error:
        return Ended(killed=False, steps=steps.count, said=tuple(said), error=str(error))
    return Ended(killed=False, sent=sent, steps=steps.count, said=tuple(said))


# The nursery


class Nursery:
    """A process that forks producers, one after the other."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(TESTS.parent), str(TESTS), str(TESTS / "producer")])
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}
        )

    def begin(self, life: Life) -> int:
        """Start a producer; returns its process."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(life)) + "\n")
        self._process.stdin.flush()
        return int(self._read())

    def end(self) -> Ended:
        """Wait for the producer that was started last."""
        words: dict[str, Any] = self._read()
        return Ended(**(words | {"said": tuple(words.get("said", ()))}))

    def run(self, life: Life) -> Ended:
        """Have a producer live its life."""
        self.begin(life)
        return self.end()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the nursery died"
        return json.loads(line)


def _bear(life: Life, tell: Callable[[object], None]) -> None:
    """Fork a producer, tell who it is and, when it is over, how it ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            os.write(writing, json.dumps(asdict(live(life))).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    tell(child)
    with os.fdopen(reading) as told:
        words = told.read()
    _, status = os.waitpid(child, 0)
    if not words:
        assert os.WIFSIGNALED(status), "a producer failed: see its traceback"
    tell(json.loads(words) if words else {"killed": True})


if __name__ == "__main__":
    for request in sys.stdin:
        _bear(Life(**json.loads(request)), lambda told: print(json.dumps(told), flush=True))  # noqa: T201
