from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat
from threading import Timer

import pytest
from builders import HandmadeJob, WatchedStore, film, new_store, spec_of

from broker.queues import message_id
from producer.enqueue import feed, planned, send
from schemas.control import ControlState, HaltedError
from schemas.task import ShardTask
from storage.control import Heed, set_control
from storage.job import Job


@dataclass
class FakeQueue:
    """A queue that remembers, and whose workers take `taken_per_look` shards whenever its depth is asked for."""

    events: list[str] = field(default_factory=list)
    flying: frozenset[str] = frozenset()
    waiting: int = 0
    taken_per_look: int = 0
    deepest: int = 0

    def send(self, task: ShardTask) -> None:
        self.events.append(task.shard_id)
        self.waiting += 1
        self.deepest = max(self.deepest, self.waiting)

    def depth(self) -> int:
        self.waiting = max(0, self.waiting - self.taken_per_look)
        return self.waiting

    def in_flight(self) -> frozenset[str]:
        return self.flying


def shards(handmade: HandmadeJob, count: int) -> list[ShardTask]:
    return [handmade.shard(f"{number:03}.mp4") for number in range(count)]


def never() -> bool:
    return False


def ids(tasks: list[ShardTask]) -> list[str]:
    return [task.shard_id for task in tasks]


def test_every_shard_is_sent_once_in_order() -> None:
    handmade, queue = HandmadeJob(), FakeQueue()
    tasks = shards(handmade, 5)
    assert feed(tasks, job=handmade.job, queue=queue, stopped=never) == 5
    assert queue.events == ids(tasks)


def test_committed_shards_are_not_sent() -> None:
    handmade, queue = HandmadeJob(spec_of(compression="zst")), FakeQueue()
    tasks = shards(handmade, 5)
    handmade.commit(tasks[1])
    assert feed(tasks, job=handmade.job, queue=queue, stopped=never) == 4
    assert queue.events == ids([tasks[0], *tasks[2:]])


def test_a_committed_descendant_does_not_stand_for_its_root() -> None:
    handmade, queue = HandmadeJob(), FakeQueue()
    tasks = shards(handmade, 1)
    handmade.commit(tasks[0].model_copy(update={"shard_id": f"{tasks[0].shard_id}.0"}))
    assert feed(tasks, job=handmade.job, queue=queue, stopped=never) == 1


def test_shards_that_wait_or_are_worked_on_are_not_sent_again() -> None:
    handmade = HandmadeJob()
    tasks = shards(handmade, 3)
    queue = FakeQueue(flying=frozenset({message_id(handmade.job.url, tasks[0].shard_id)}))
    assert feed(tasks, job=handmade.job, queue=queue, stopped=never) == 2


def test_another_jobs_message_of_the_same_shard_is_another() -> None:
    handmade = HandmadeJob()
    [task] = shards(handmade, 1)
    queue = FakeQueue(flying=frozenset({message_id("memory://other", task.shard_id)}))
    assert feed([task], job=handmade.job, queue=queue, stopped=never) == 1


@pytest.mark.parametrize("window", [1, 2, 3, 4, 8, 100])
@pytest.mark.parametrize("waiting", [0, 4])
def test_the_queue_never_holds_more_than_its_window_and_a_quarter(window: int, waiting: int) -> None:
    handmade, queue = HandmadeJob(), FakeQueue(waiting=waiting, taken_per_look=max(1, waiting, window // 4))
    feed(shards(handmade, 30), job=handmade.job, queue=queue, stopped=never, window=window)
    assert len(queue.events) == 30
    assert queue.deepest <= max(window - 1 + max(1, window // 4), waiting)


def test_a_full_queue_makes_the_producer_wait_until_it_is_stopped() -> None:
    handmade, queue = HandmadeJob(), FakeQueue(waiting=8)
    looks = chain([False] * 6, repeat(True))
    assert feed(shards(handmade, 3), job=handmade.job, queue=queue, stopped=lambda: next(looks), window=8) == 0
    assert queue.events == []


def test_a_full_queue_keeps_the_plan_from_being_read_on() -> None:
    handmade, queue = HandmadeJob(), FakeQueue()
    read: list[str] = []

    def tasks() -> Iterator[ShardTask]:
        for task in shards(handmade, 40):
            read.append(task.shard_id)
            yield task

    assert feed(tasks(), job=handmade.job, queue=queue, stopped=lambda: queue.waiting >= 8, window=8) == 8
    assert len(read) == 9


def say_of(handmade: HandmadeJob, state: ControlState, why: str = "") -> None:
    set_control(handmade.job, state, by="ann", why=why)


def test_a_paused_job_is_waited_for_and_that_is_said_once() -> None:
    handmade, queue, said = HandmadeJob(), FakeQueue(), []
    tasks = shards(handmade, 3)
    say_of(handmade, ControlState.PAUSED, "the disk is full")
    heed = Heed(handmade.job, ask_seconds=0.05)
    resumed = Timer(0.5, say_of, (handmade, ControlState.RUNNING))
    resumed.start()
    looks: list[list[str]] = []
    assert send(tasks, job=handmade.job, queue=queue, stopped=lambda: bool(looks.append([*queue.events])), say=said.append, heed=heed) == 3
    resumed.join()
    assert len([before for before in looks if not before]) > 2
    [words] = said
    assert words.startswith(f"{handmade.job.url} is paused by ann at 2")
    assert "(the disk is full)" in words
    assert f"framefleet resume {handmade.job.url}" in words


def test_a_pause_in_mid_plan_keeps_the_rest_from_being_sent() -> None:
    handmade, queue, said = HandmadeJob(), FakeQueue(), []

    def tasks() -> Iterator[ShardTask]:
        for number, task in enumerate(shards(handmade, 9)):
            if number == 4:
                say_of(handmade, ControlState.PAUSED)
            yield task

    sent = send(tasks(), job=handmade.job, queue=queue, stopped=lambda: bool(said), say=said.append, heed=Heed(handmade.job, ask_seconds=0))
    assert sent == 4


@pytest.mark.parametrize("waiting", [0, 8])
def test_a_cancelled_job_ends_its_producer_even_before_a_full_queue(waiting: int) -> None:
    handmade, queue = HandmadeJob(), FakeQueue(waiting=waiting)
    say_of(handmade, ControlState.CANCELLED, "wrong folder")
    with pytest.raises(HaltedError, match=r"cancelled by ann .*\(wrong folder\).*framefleet resume"):
        feed(shards(handmade, 3), job=handmade.job, queue=queue, stopped=never, window=8)
    assert queue.events == []


def test_stopping_sends_nothing_more() -> None:
    handmade, queue = HandmadeJob(), FakeQueue()
    assert feed(shards(handmade, 9), job=handmade.job, queue=queue, stopped=lambda: len(queue.events) == 3) == 3


def test_a_shard_stands_in_the_plan_before_its_message_is_sent() -> None:
    source, events = new_store(), []
    for number in range(40):
        film(source, f"{number:02}.mp4")
    job, spec = Job(WatchedStore(new_store(), events)), spec_of(source=source.url)
    job.create_spec(spec)
    sent = feed(planned(job, spec), job=job, queue=FakeQueue(events), stopped=never)
    written = {task.shard_id: f"plan/part-{part.header.part:05d}.jsonl.zst" for part in job.plan_parts() for task in part.shards}
    assert sent == len(written)
    assert all(events.index(part) < events.index(shard) for shard, part in written.items())
    assert events.index("plan/part-00001.jsonl.zst") > events.index(next(iter(written)))
