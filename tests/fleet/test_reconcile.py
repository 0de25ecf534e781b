"""What storage lacks, and how it gets back into the queue."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from builders import AT, HandmadeJob, below, letter, line, lines, spec_of

from broker.queues import message_id
from fleet.reconcile import Found, keep_reconciling, open_work, reconcile
from fleet.stop import Stop
from schemas.control import ControlState, HaltedError
from schemas.errors import BrokerAwayError
from schemas.job import SUFFIXES
from schemas.task import ShardTask, Split
from storage.control import set_control


@dataclass
class FakeQueue:
    """A queue that remembers what waits, and whose broker is away for as many calls as a test says."""

    waiting: list[str] = field(default_factory=list)
    away_for: int = 0
    on_send: Callable[[ShardTask], object] = id

    def in_flight(self) -> frozenset[str]:
        self._answer()
        return frozenset(self.waiting)

    def depth(self, job: str | None = None) -> int:
        assert job is not None
        self._answer()
        return 0

    def jobs(self) -> int:
        return 1

    def used_bytes(self) -> int:
        return 0

    def limit_bytes(self) -> int | None:
        return None

    def send_all(self, tasks: Sequence[ShardTask], *, weight: float | None = None) -> int:
        assert weight is None
        for task in tasks:
            self._answer()
            self.waiting.append(message_id(task.job, task.shard_id))
            self.on_send(task)
        return len(tasks)

    def _answer(self) -> None:
        if self.away_for:
            self.away_for -= 1
            raise BrokerAwayError("The broker does not answer. Nothing is lost.")


@dataclass
class Bench:
    """A job, a queue, and what is said."""

    handmade: HandmadeJob = field(default_factory=HandmadeJob)
    queue: FakeQueue = field(default_factory=FakeQueue)
    said: list[str] = field(default_factory=list)
    stop: Stop = field(default_factory=Stop)

    def look(self) -> Found:
        return reconcile(self.handmade.job, self.queue, stop=self.stop, say=self.said.append)

    def keep(self) -> bool:
        return keep_reconciling(self.handmade.job, self.queue, every_seconds=0.01, stop=self.stop, say=self.said.append)


@pytest.fixture
def handmade() -> HandmadeJob:
    return HandmadeJob()


@pytest.fixture
def bench(handmade: HandmadeJob) -> Bench:
    return Bench(handmade)


def split(handmade: HandmadeJob, task: ShardTask) -> tuple[ShardTask, ShardTask]:
    """Write down two halves of a shard; they stand for it once it is committed and empty."""
    middle = len(task.videos) // 2
    halves = {"a": task.videos[:middle], "b": task.videos[middle:]}
    one, two = (task.model_copy(update={"shard_id": f"{task.shard_id}.{name}", "videos": videos}) for name, videos in halves.items())
    handmade.job.write_split(Split(shard_id=task.shard_id, children=(one, two), why="it crashed", at=AT))
    return one, two


def opened(handmade: HandmadeJob) -> list[str]:
    return [task.shard_id for task in open_work(handmade.job)]


def test_planned_shards_and_redrives_without_an_object_are_open(handmade: HandmadeJob) -> None:
    done, open_one = handmade.shard("a.mp4"), handmade.shard("b.mp4")
    handmade.commit(done)
    handmade.bury(letter(done))
    redrive = below(done, "0")
    handmade.job.ask_redrive(redrive)
    assert sorted(opened(handmade)) == sorted([open_one.shard_id, redrive.shard_id])


def test_committed_shards_with_gaps_are_open_once_nothing_else_is(handmade: HandmadeJob) -> None:
    gapped, missing = handmade.shard("a.mp4"), handmade.shard("b.mp4")
    handmade.commit(gapped, *lines(gapped, 3, but=(1,)))
    assert opened(handmade) == [missing.shard_id]
    handmade.commit(missing, line(missing))
    assert opened(handmade) == [gapped.shard_id]
    handmade.bury(letter(gapped, 1, 3))
    assert opened(handmade) == []


@pytest.mark.parametrize("compression", SUFFIXES)
def test_children_of_a_split_are_open_once_their_shards_object_is_there_and_empty(compression: str) -> None:
    handmade = HandmadeJob(spec_of(compression=compression))
    task = handmade.shard(*(f"{n}.mp4" for n in range(4)))
    one, two = split(handmade, task)
    assert opened(handmade) == [task.shard_id]
    handmade.commit(task)
    assert opened(handmade) == [one.shard_id, two.shard_id]
    handmade.commit(one, line(one), line(one, place=1))
    assert opened(handmade) == [two.shard_id]


def test_children_of_children_are_open_too(handmade: HandmadeJob) -> None:
    task = handmade.shard(*(f"{n}.mp4" for n in range(4)))
    one, two = split(handmade, task)
    first, second = split(handmade, two)
    handmade.commit(task)
    assert opened(handmade) == [one.shard_id, two.shard_id]
    handmade.commit(two)
    assert opened(handmade) == [one.shard_id, first.shard_id, second.shard_id]


def test_a_split_that_committed_lines_made_void_has_no_open_children(handmade: HandmadeJob) -> None:
    task = handmade.shard("a.mp4", "b.mp4")
    split(handmade, task)
    handmade.commit(task, line(task), line(task, place=1))
    assert opened(handmade) == []


def test_what_waits_or_is_worked_on_is_not_sent_again(bench: Bench) -> None:
    tasks = [bench.handmade.shard(f"{n}.mp4") for n in range(3)]
    bench.handmade.commit(tasks[0], line(tasks[0]))
    bench.queue.waiting.append(message_id(bench.handmade.job.url, tasks[1].shard_id))
    assert bench.look() == Found(open=2, sent=1, plan_complete=False)
    assert bench.look() == Found(open=2, sent=0, plan_complete=False)
    bench.queue.waiting.clear()
    assert bench.look() == Found(open=2, sent=2, plan_complete=False)


def test_a_gap_is_left_to_the_descendant_that_is_in_work(bench: Bench) -> None:
    task = bench.handmade.shard("a.mp4")
    bench.handmade.commit(task, line(task, 0, 2))
    bench.queue.waiting.append(message_id(bench.handmade.job.url, f"{task.shard_id}.0.0"))
    assert bench.look().sent == 0
    bench.queue.waiting.clear()
    assert bench.look().sent == 1
    assert bench.queue.waiting == [message_id(bench.handmade.job.url, task.shard_id)]


def test_it_is_said_how_many_of_how_many_and_whether_the_plan_is_whole() -> None:
    assert str(Found(open=5, sent=3, plan_complete=True)) == "3 of 5 open shards enqueued, the others wait or are in work."
    assert str(Found(open=5, sent=5, plan_complete=True)) == "5 of 5 open shards enqueued."
    assert str(Found(open=0, sent=0, plan_complete=True)) == "Nothing that is planned is open."
    assert "framefleet launch" in str(Found(open=0, sent=0, plan_complete=False))
    assert [Found(n, 0, plan_complete=whole).complete for n, whole in ((0, True), (1, True), (0, False))] == [True, False, False]


def test_a_broker_that_is_away_ends_one_look_and_is_named(bench: Bench) -> None:
    bench.handmade.shard("a.mp4")
    bench.queue.away_for = 1
    with pytest.raises(BrokerAwayError, match=r"The broker does not answer\. Nothing is lost"):
        bench.look()


def test_it_is_kept_at_through_a_broker_that_goes_away_and_comes_back_empty(bench: Bench) -> None:
    tasks = {task.shard_id: task for task in (bench.handmade.shard(f"{n}.mp4") for n in range(4))}
    bench.handmade.complete()
    sent: list[str] = []

    def work(task: ShardTask) -> None:
        """The first two messages are lost with the broker; the others are worked at once."""
        sent.append(task.shard_id)
        if len(sent) == 2:
            bench.queue.away_for, bench.queue.waiting[:] = 3, []
        if len(sent) > 2:
            bench.handmade.commit(task, line(task))

    bench.queue.on_send = work
    assert bench.keep()
    assert opened(bench.handmade) == []
    assert sorted(sent[2:]) == sorted(tasks)
    assert [words for words in bench.said if "does not answer" in words] == [bench.said[0]]
    assert "Trying again every 0.01 s." in bench.said[0]


def test_it_is_kept_at_until_the_plan_is_complete(bench: Bench) -> None:
    task = bench.handmade.shard("a.mp4")
    bench.handmade.commit(task, line(task))
    looks = 0

    def say(words: str) -> None:
        nonlocal looks
        looks += 1
        assert "The plan is not complete" in words
        bench.handmade.complete()

    assert keep_reconciling(bench.handmade.job, bench.queue, every_seconds=0.01, stop=bench.stop, say=say)
    assert looks == 1


def test_it_ends_when_it_is_stopped(bench: Bench) -> None:
    bench.handmade.shard("a.mp4")
    bench.queue.on_send = lambda _: setattr(bench.stop, "asked", 1)
    assert not bench.keep()


def test_a_paused_job_is_waited_for(bench: Bench) -> None:
    task = bench.handmade.shard("a.mp4")
    bench.handmade.complete()
    set_control(bench.handmade.job, ControlState.PAUSED, by="ann")

    def say(words: str) -> None:
        bench.said.append(words)
        bench.stop.asked = 1

    assert not keep_reconciling(bench.handmade.job, bench.queue, every_seconds=0.01, stop=bench.stop, say=say)
    assert bench.queue.waiting == []
    assert f"framefleet resume {task.job}" in bench.said[0]


def test_a_cancelled_job_ends_it(bench: Bench) -> None:
    bench.handmade.shard("a.mp4")
    set_control(bench.handmade.job, ControlState.CANCELLED, by="ann")
    with pytest.raises(HaltedError, match="is cancelled by ann"):
        bench.keep()
    assert bench.queue.waiting == []
