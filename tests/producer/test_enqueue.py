"""The plan goes into the queue: once, in order, as there is room, from where it stopped."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat

import pytest
from builders import HandmadeJob, WatchedStore, film, new_store, spec_of
from fake_queue import FakeQueue
from small_plans import EAGER, biggest_first, ids, manner, never, parts_of, say_of, tasks_of

from broker.queues import message_id
from producer import portions
from producer.enqueue import feed
from producer.rounds import new_parts
from schemas.control import ControlState
from schemas.errors import OperatorError
from schemas.job import PlanPartHeader
from schemas.tenure import Published
from storage.job import Job
from storage.ledger import PlanPart
from storage.tenure import Pace, latest

# New parts


def test_every_part_is_sent_once_as_it_is_planned_its_biggest_shards_first() -> None:
    handmade, queue = HandmadeJob(), FakeQueue()
    first, second = tasks_of(handmade, 5), tasks_of(handmade, 4, first=5)
    assert feed(handmade.job, parts_of(handmade, first, second), queue=queue, stopped=never, manner=EAGER) == 9
    assert queue.events == biggest_first(first) + biggest_first(second)
    assert latest(handmade.job).published == Published(part=2)


def test_a_full_queue_keeps_the_plan_from_going_on() -> None:
    handmade, queue = HandmadeJob(), FakeQueue()
    asked: list[int] = []

    def parts() -> Iterator[PlanPart]:
        for number, part in enumerate(parts_of(handmade, *(tasks_of(handmade, 4, first=4 * number) for number in range(9)))):
            asked.append(number)
            yield part

    looks = chain([False] * 9, repeat(True))
    feed(handmade.job, parts(), queue=queue, stopped=lambda: queue.waiting >= 8 and next(looks), manner=manner(window=8))
    assert queue.waiting == 8
    assert asked == [0, 1, 2]


@pytest.mark.parametrize("window", [1, 2, 3, 8, 100])
def test_no_more_wait_than_the_operators_window(window: int) -> None:
    handmade, queue = HandmadeJob(), FakeQueue(taken_per_look=max(1, window // 4))
    feed(handmade.job, parts_of(handmade, tasks_of(handmade, 30)), queue=queue, stopped=never, manner=manner(window=window))
    assert len(queue.events) == 30
    assert queue.deepest == min(window, 30)


def test_a_job_is_sent_with_its_weight_in_few_batches() -> None:
    handmade, queue = HandmadeJob(), FakeQueue(taken_per_look=10_000)
    feed(handmade.job, parts_of(handmade, tasks_of(handmade, 600)), queue=queue, stopped=never, manner=manner(weight=2.5))
    assert queue.weights == {2.5}
    assert len(queue.batches) <= 4


def test_a_broker_that_is_full_is_waited_for_and_that_is_said_once() -> None:
    handmade, queue, said = HandmadeJob(), FakeQueue(used=200 << 20), []
    looks = chain([False] * 6, repeat(True))
    feed(handmade.job, parts_of(handmade, tasks_of(handmade, 9)), queue=queue, stopped=lambda: next(looks), manner=manner(say=said.append))
    assert queue.events == []
    [words] = said
    assert "holds 200 MiB, and may hold 128" in words
    assert "--redis-bytes" in words


def test_what_a_full_broker_did_not_take_is_sent_again() -> None:
    handmade, queue, said = HandmadeJob(), FakeQueue(most=5, taken_per_look=5), []
    tasks = tasks_of(handmade, 12)
    feed(handmade.job, parts_of(handmade, tasks), queue=queue, stopped=never, manner=manner(say=said.append))
    assert set(queue.events) == set(ids(tasks))
    assert said == ["The broker's memory is full."]


def test_another_job_that_fills_the_queue_blocks_nobody() -> None:
    class Busy(FakeQueue):
        def depth(self, job: str | None = None) -> int:
            return super().depth(job) + (10**6 if job is None else 0)

    handmade, queue = HandmadeJob(), Busy()
    assert feed(handmade.job, parts_of(handmade, tasks_of(handmade, 20)), queue=queue, stopped=never, manner=EAGER) == 20


def test_a_shard_stands_in_the_plan_before_its_message_is_sent() -> None:
    source, events = new_store(), []
    for number in range(40):
        film(source, f"{number:02}.mp4")
    job, spec = Job(WatchedStore(new_store(), events)), spec_of(source=source.url)
    job.create_spec(spec)
    sent = feed(job, new_parts(job, spec), queue=FakeQueue(events), stopped=never, manner=EAGER)
    written = {task.shard_id: f"plan/part-{part.header.part:05d}.jsonl.zst" for part in job.ledger().parts() for task in part.shards}
    assert sent == len(written)
    assert all(events.index(part) < events.index(shard) for shard, part in written.items())
    assert events.index("plan/part-00001.jsonl.zst") > events.index(next(iter(written)))


# A broker that remembers


def again(handmade: HandmadeJob, queue: FakeQueue, parts: Iterator[PlanPart] | tuple[()] = ()) -> int:
    queue.events.clear()
    return feed(handmade.job, parts, queue=queue, stopped=never, manner=EAGER)


def test_a_producer_goes_on_where_the_last_one_stopped() -> None:
    handmade, queue = HandmadeJob(), FakeQueue(taken_per_look=10_000)
    first, second, third = (tasks_of(handmade, 300, first=300 * number) for number in range(3))
    coming = parts_of(handmade, first, second, third)
    feed(handmade.job, coming, queue=queue, stopped=lambda: len(queue.events) >= 556, manner=EAGER)
    assert latest(handmade.job).published == Published(part=1, shards=256)
    assert again(handmade, queue, coming) == 344
    assert queue.events == biggest_first(second)[256:] + biggest_first(third)
    assert again(handmade, queue) == 0


def test_a_later_round_is_sent_behind_the_first() -> None:
    handmade, queue = HandmadeJob(), FakeQueue()
    feed(handmade.job, parts_of(handmade, tasks_of(handmade, 3)), queue=queue, stopped=never, manner=EAGER)
    later = tasks_of(handmade, 3, first=3)
    header = PlanPartHeader(round=1, part=0, recipe_id=handmade.spec.recipe_id, cursor="", shards=3, videos=3, size_bytes=0)
    assert again(handmade, queue, iter([PlanPart(header, tuple(later))])) == 3
    assert queue.events == biggest_first(later)
    assert latest(handmade.job).published == Published(round=1, part=1)


# A broker that forgot


def test_what_is_neither_done_nor_in_flight_is_sent_to_a_broker_that_forgot() -> None:
    handmade, queue = HandmadeJob(spec_of(compression="zst")), FakeQueue()
    tasks = tasks_of(handmade, 9)
    feed(handmade.job, parts_of(handmade, tasks[:5], tasks[5:]), queue=queue, stopped=never, manner=EAGER)
    handmade.commit(tasks[1])
    queue.memory, queue.flying = "second", frozenset({message_id(handmade.job.url, tasks[3].shard_id)})
    seen: dict[str, bool] = {}
    queue.events.clear()
    told = {"seen": lambda task, done: seen.update({task.shard_id: done})}
    assert feed(handmade.job, (), queue=queue, stopped=never, manner=EAGER, **told) == 7
    assert queue.events == [shard for shard in biggest_first(tasks) if shard not in {tasks[1].shard_id, tasks[3].shard_id}]
    assert seen == {task.shard_id: task is tasks[1] for task in tasks}
    assert again(handmade, queue) == 0


def test_another_jobs_message_of_the_same_shard_is_another() -> None:
    handmade = HandmadeJob()
    [task] = tasks_of(handmade, 1)
    handmade.plan(task)
    queue = FakeQueue(flying=frozenset({message_id("memory://other", task.shard_id)}))
    assert feed(handmade.job, (), queue=queue, stopped=never, manner=EAGER) == 1


def test_a_committed_descendant_does_not_stand_for_its_root() -> None:
    handmade, queue = HandmadeJob(), FakeQueue()
    task = handmade.shard("a.mp4")
    handmade.commit(task.model_copy(update={"shard_id": f"{task.shard_id}.0"}))
    assert feed(handmade.job, (), queue=queue, stopped=never, manner=EAGER) == 1


def test_a_plan_that_is_gone_over_is_gone_on_with_where_that_stopped() -> None:
    handmade, queue = HandmadeJob(), FakeQueue(taken_per_look=10_000)
    tasks = tasks_of(handmade, 3000)
    handmade.plan(*tasks)
    at = Published(part=1, walked=sorted(ids(tasks))[1000])
    shown = list(portions.gone_over(handmade.job, at, flying=frozenset(), size=256, seen=lambda _task, _done: None))
    assert sorted(shard for portion in shown for shard in ids(portion.tasks)) == sorted(ids(tasks))[1001:]
    assert [portion.then for portion in shown] == [at] * 7 + [Published(part=1)]
    assert feed(handmade.job, (), queue=queue, stopped=never, manner=EAGER) == 3000


def test_a_plan_of_many_chunks_is_gone_over_in_all_of_them() -> None:
    handmade = HandmadeJob()
    tasks = tasks_of(handmade, 220)
    handmade.plan(*tasks)
    for task in sorted(tasks, key=lambda task: task.shard_id)[:60]:
        handmade.commit(task)
    ordered, at, sent = sorted(ids(tasks)), Published(part=1, walked=""), list[str]()
    while at.walked is not None:  # a producer that dies behind every portion that leads on
        for portion in portions.gone_over(handmade.job, at, flying=frozenset(), size=20, seen=lambda _task, _done: None, most=50):
            sent += ids(portion.tasks)
            if portion.then != at:
                at = portion.then
                break
    assert sorted(sent) == ordered[60:]
    assert len(sent) == len(set(sent))


def test_a_broker_that_forgets_in_mid_plan_is_told_everything_again() -> None:
    handmade, queue = HandmadeJob(), FakeQueue()
    first, second, third = (tasks_of(handmade, 3, first=3 * number) for number in range(3))

    def parts() -> Iterator[PlanPart]:
        for part in parts_of(handmade, first, second, third):
            if part.header.part == 2:
                queue.memory, queue.events = "second", []
            yield part

    feed(handmade.job, parts(), queue=queue, stopped=never, manner=EAGER)
    assert set(queue.events) == set(ids([*first, *second, *third]))
    assert latest(handmade.job).broker_epoch == f"second:{handmade.job.url}"


def test_messages_that_a_pause_has_cost_are_sent_again() -> None:
    handmade, queue = HandmadeJob(), FakeQueue()
    tasks = tasks_of(handmade, 3)
    feed(handmade.job, parts_of(handmade, tasks), queue=queue, stopped=never, manner=EAGER)
    say_of(handmade, ControlState.PAUSED)
    say_of(handmade, ControlState.RUNNING)
    assert again(handmade, queue) == 3
    assert again(handmade, queue) == 0


# Two producers


def test_a_second_producer_is_told_of_the_first_and_sends_nothing() -> None:
    handmade, queue, said = HandmadeJob(), FakeQueue(), []
    told: list[str] = []

    def parts() -> Iterator[PlanPart]:
        quick = replace(manner(say=said.append), pace=Pace(watch_seconds=30, look_seconds=0.01))
        try:
            feed(handmade.job, (), queue=queue, stopped=never, manner=quick)
        except OperatorError as error:
            told.append(str(error))
        yield from parts_of(handmade, tasks_of(handmade, 2))

    beating = replace(EAGER, pace=Pace(beat_seconds=0.05))
    assert feed(handmade.job, parts(), queue=queue, stopped=never, manner=beating) == 2
    assert "Another producer may be at" in said[0]
    assert f"Another producer is at {handmade.job.url}" in told[0]
