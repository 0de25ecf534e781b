"""A producer that is killed at any step: the next one goes on, with nothing missing and nothing twice."""

import json
import os
import signal
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from mortal_producer import BATCH, Ended, Life, Nursery

from broker import QUEUE
from broker.app import make_app
from broker.claims import Claims
from broker.embedded import embedded_redis
from broker.queues import ShardQueue, redis_of
from schemas.task import captions_key
from storage.job import Job
from storage.local import LocalStore
from storage.tenure import latest

VIDEOS = 64
"""They make parts of 16 and 48 shards, the last of several batches."""
LIVES_AT_MOST = 200


@dataclass
class Trial:
    """A job on a disk, a Redis that outlives its producers, and workers that take messages and commit empty objects."""

    life: Life
    nursery: Nursery
    queue: ShardQueue
    redis: Any
    received: Counter[str] = field(default_factory=Counter)

    @property
    def job(self) -> Job:
        return Job(LocalStore(self.life.job))

    def produce(self, dies_at: int | None = None) -> Ended:
        return self.nursery.run(replace(self.life, dies_at=dies_at))

    def work(self, most: int = 10**6) -> None:
        """Take some messages, and commit what they ask for."""
        claims = Claims()
        while most and (reply := self.redis.execute_command(*claims.take([QUEUE]))):
            _, tag, message = reply
            name = json.loads(message)["headers"]["id"]
            shard = name.partition(":")[2]
            self.received[shard] += 1
            committed = Path(self.life.job, captions_key(shard))
            committed.parent.mkdir(parents=True, exist_ok=True)
            committed.touch()
            self.redis.execute_command(*claims.end(tag.decode(), once=name))
            most -= 1

    def check(self) -> None:
        """See that the whole source is planned once, and that all of it was sent and is done."""
        ledger = self.job.ledger()
        planned = [task for part in ledger.parts() for task in part.shards]
        videos = Counter(video.uri.rpartition("/")[2] for task in planned for video in task.videos)
        assert videos == Counter(path.name for path in Path(self.life.source).iterdir())
        shards = {task.shard_id for task in planned}
        assert len(shards) == len(planned)
        assert set(self.received) == shards == {shard for shard, _ in self.job.committed()}
        complete = ledger.complete()
        assert complete is not None
        assert (complete.shards, complete.videos) == (len(shards), VIDEOS)
        assert complete.parts == ledger.seals()
        tenure = latest(self.job)
        assert tenure is not None
        assert (tenure.released, tenure.published.walked, tenure.published.part) == (True, None, len(complete.parts))
        assert self.queue.in_flight() == frozenset()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with embedded_redis() as url:
        yield url


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("source")
    for number in range(VIDEOS):
        (folder / f"{number:03}.mp4").write_bytes(b"x" * (number % 7))
    return str(folder)


@pytest.fixture
def trials(source: str, redis_url: str, nursery: Nursery) -> Iterator[Callable[[], Trial]]:
    """Makes trials, each of a new job and an empty Redis; in memory where that goes, since every write waits for the disk."""
    app, memory = make_app(redis_url), Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder, redis_of(app) as redis:

        def begun() -> Trial:
            redis.flushall()
            return Trial(Life(source=source, job=f"{folder}/{uuid.uuid4().hex}", redis=redis_url), nursery, ShardQueue(app), redis)

        yield begun
    app.close()


@pytest.fixture
def trial(trials: Callable[[], Trial]) -> Trial:
    return trials()


@pytest.mark.parametrize(("worked", "stride"), [(0, 1), (20, 5), (10**6, 5)], ids=["by nobody", "in part", "at once"])
def test_a_producer_killed_at_any_step_is_followed_by_one_that_goes_on(trials: Callable[[], Trial], worked: int, stride: int) -> None:
    step, killed = 0, True
    while killed:
        trial = trials()
        killed = trial.produce(dies_at=step).killed
        trial.work(worked)
        ended = trial.produce()
        assert (ended.error, ended.said) == ("", ()), "a dead producer of the same machine is not waited for"
        trial.work()
        trial.check()
        assert sum(trial.received.values()) - VIDEOS <= BATCH, "more than one batch was sent again"
        step += stride
    assert step > 30


@pytest.mark.parametrize("forgets", [False, True], ids=["remembers", "forgets"])
@pytest.mark.parametrize("steps", [11, 14, 17])
def test_producers_that_are_killed_one_after_the_other_get_to_the_end(trial: Trial, steps: int, forgets: bool) -> None:  # noqa: FBT001
    for life in range(LIVES_AT_MOST):
        ended = trial.produce(dies_at=steps + life if forgets else steps)
        trial.work(20)
        if not ended.killed:
            break
        if forgets:
            trial.redis.flushall()
    trial.work()
    trial.check()


def test_a_producer_killed_while_it_goes_over_the_plan_is_followed_by_one_that_goes_on_with_that(trials: Callable[[], Trial]) -> None:
    step, killed = 1, True
    while killed:
        trial = trials()
        trial.produce()
        trial.redis.flushall()
        killed = trial.produce(dies_at=step).killed
        trial.produce()
        trial.work()
        trial.check()
        assert set(trial.received.values()) == {1}
        step += 2  # a step's end is the next one's beginning
    assert step > 15


def test_a_broker_that_was_lost_is_told_of_what_is_not_done_and_of_nothing_else(trial: Trial) -> None:
    trial.produce()
    trial.work(30)
    trial.redis.flushall()
    ended = trial.produce()
    assert ended.sent == VIDEOS - 30
    trial.work()
    trial.check()
    assert set(trial.received.values()) == {1}


def test_of_two_producers_the_second_names_the_first_and_goes_on_at_once_when_that_is_killed(trial: Trial) -> None:
    first = Nursery()
    try:
        pid = first.begin(replace(trial.life, window=8, beat_seconds=0.2))  # nobody works, so that it waits
        until = time.monotonic() + 60
        while trial.queue.depth() < 8:
            assert time.monotonic() < until
            time.sleep(0.01)
        second = trial.produce()
        assert "Another producer may be at" in second.said[0]
        assert f"Another producer is at file://{trial.life.job}: " in second.error
        assert f"process {pid}," in second.error
        os.kill(pid, signal.SIGKILL)
        assert first.end().killed
    finally:
        first.close()
    third = trial.produce()
    assert (third.error, third.said) == ("", ())
    trial.work()
    trial.check()
    assert set(trial.received.values()) == {1}
