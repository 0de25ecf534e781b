"""Shards of whatever kind go into the queue one after the other, as there is room and while the job is not paused."""

from collections.abc import Iterator
from itertools import chain, repeat
from threading import Timer

import pytest
from builders import HandmadeJob
from fake_queue import FakeQueue
from small_plans import ids, manner, never, say_of, tasks_of

from broker.queues import message_id
from producer.enqueue import Manner, feed, send
from schemas.control import ControlState, HaltedError
from schemas.task import ShardTask
from storage.control import Heed
from storage.tenure import latest


def test_shards_are_sent_in_order_and_those_in_flight_are_not_counted() -> None:
    handmade = HandmadeJob()
    tasks = tasks_of(handmade, 5)
    queue = FakeQueue(flying=frozenset({message_id(handmade.job.url, tasks[0].shard_id)}))
    assert send(tasks, job=handmade.job, queue=queue, stopped=never) == 4
    assert queue.events == ids(tasks)


def test_what_is_sent_one_by_one_is_asked_for_one_by_one_and_not_after_a_stop() -> None:
    handmade, queue, asked = HandmadeJob(), FakeQueue(), []

    def tasks() -> Iterator[ShardTask]:
        for task in tasks_of(handmade, 9):
            asked.append(task.shard_id)
            assert queue.events == asked[:-1]
            yield task

    assert send(tasks(), job=handmade.job, queue=queue, stopped=lambda: len(queue.events) == 3, manner=Manner(batch=1)) == 3
    assert len(asked) == 3


def test_a_full_queue_makes_the_producer_wait_until_it_is_stopped() -> None:
    handmade, queue = HandmadeJob(), FakeQueue(waiting=8)
    looks = chain([False] * 6, repeat(True))
    assert send(tasks_of(handmade, 3), job=handmade.job, queue=queue, stopped=lambda: next(looks), manner=manner(window=8)) == 0
    assert queue.events == []


def test_a_paused_job_is_waited_for_and_that_is_said_once() -> None:
    handmade, queue, said = HandmadeJob(), FakeQueue(), []
    tasks = tasks_of(handmade, 3)
    say_of(handmade, ControlState.PAUSED, "the disk is full")
    waiting = manner(say=said.append, heed=Heed(handmade.job, ask_seconds=0.05))
    resumed = Timer(0.5, say_of, (handmade, ControlState.RUNNING))
    resumed.start()
    looks: list[list[str]] = []
    assert send(tasks, job=handmade.job, queue=queue, stopped=lambda: bool(looks.append([*queue.events])), manner=waiting) == 3
    resumed.join()
    assert len([before for before in looks if not before]) > 2
    [words] = said
    assert words.startswith(f"{handmade.job.url} is paused by ann at 2")
    assert "(the disk is full)" in words
    assert f"framefleet resume {handmade.job.url}" in words


def test_a_pause_in_mid_plan_keeps_the_rest_from_being_sent() -> None:
    handmade, queue, said = HandmadeJob(), FakeQueue(), []

    def tasks() -> Iterator[ShardTask]:
        for number, task in enumerate(tasks_of(handmade, 9)):
            if number == 4:
                say_of(handmade, ControlState.PAUSED)
            yield task

    waiting = manner(say=said.append, heed=Heed(handmade.job, ask_seconds=0), batch=1)
    assert send(tasks(), job=handmade.job, queue=queue, stopped=lambda: bool(said), manner=waiting) == 4


@pytest.mark.parametrize("waiting", [0, 8])
def test_a_cancelled_job_ends_its_producer_even_before_a_full_queue(waiting: int) -> None:
    handmade, queue = HandmadeJob(), FakeQueue(waiting=waiting)
    handmade.shard("a.mp4")
    say_of(handmade, ControlState.CANCELLED, "wrong folder")
    with pytest.raises(HaltedError, match=r"cancelled by ann .*\(wrong folder\).*framefleet resume"):
        feed(handmade.job, (), queue=queue, stopped=never, manner=manner(window=8))
    assert queue.events == []
    assert latest(handmade.job).released
