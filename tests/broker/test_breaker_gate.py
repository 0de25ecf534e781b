"""While the breaker is open workers take nothing but a probe, and when it closes they go on by themselves."""

import time
from typing import Any

import pytest
from builders import HandmadeJob
from celery import Celery
from tiny_crew import TinyCrew, crew, eventually

from broker import QUEUE
from broker.breaker import Breaker, Verdict
from broker.claims import Claims
from broker.queues import ShardQueue, redis_of
from broker.scripts import BELL, BREAKER, INDEX, LONGEST_PROBE_SECONDS

__all__ = ["crew"]
ILL = "engine_failed"
LONG_AGO = 1000.0
NAP_SECONDS = 3.0
"""Longer than an idle worker sleeps on its bell."""


def opened(app: Celery, *, probe_seconds: float = 15) -> Breaker:
    breaker = Breaker(app, probe_seconds=probe_seconds)
    breaker.judge("a:1", [ILL] * 5, shard="first")
    assert breaker.judge("b:1", [ILL] * 5, shard="second") is Verdict.OPEN
    return breaker


@pytest.fixture
def waiting(app: Celery) -> Celery:
    """An application in whose queue three shards wait."""
    handmade = HandmadeJob()
    for number in range(3):
        ShardQueue(app).send(handmade.shard(f"{number}.mp4"))
    return app


def take(app: Celery) -> Any:
    """Ask for work as a worker does; returns queue, tag and message, or nothing."""
    with redis_of(app) as redis:
        return redis.execute_command(*Claims().take([QUEUE]))


def let_time_pass(app: Celery) -> float:
    """Let a probe be due; returns how many seconds that saves."""
    left = Breaker(app).state().next_probe_in_seconds
    with redis_of(app) as redis:
        redis.hincrbyfloat(BREAKER, "probe_at", -left)
    return left


def test_nothing_is_taken_before_a_probe_is_due_and_then_one(waiting: Celery) -> None:
    opened(waiting)
    assert (take(waiting), take(waiting)) == (None, None)
    let_time_pass(waiting)
    assert take(waiting)[0] == QUEUE.encode()
    assert (take(waiting), ShardQueue(waiting).depth()) == (None, 2)


def test_probes_are_ever_further_apart_up_to_five_minutes(waiting: Celery) -> None:
    breaker, waits = opened(waiting), []
    for _ in range(7):
        waits.append(let_time_pass(waiting))
        with redis_of(waiting) as redis:
            _, tag, _ = redis.execute_command(*Claims().take([QUEUE]))
            redis.execute_command(*Claims().give_back(tag, as_the="last"))
        assert breaker.judge("a:1", [ILL], shard="probe") is Verdict.OPEN
    assert waits == pytest.approx([15, 30, 60, 120, 240, LONGEST_PROBE_SECONDS, LONGEST_PROBE_SECONDS], abs=3)


def test_a_queue_without_work_wastes_no_probe(app: Celery) -> None:
    opened(app)
    let_time_pass(app)
    assert take(app) is None
    ShardQueue(app).send(HandmadeJob().shard("late.mp4"))
    assert take(app) is not None


def test_a_probe_that_comes_to_nothing_is_followed_by_another(waiting: Celery) -> None:
    opened(waiting)
    let_time_pass(waiting)
    _, tag, _ = take(waiting)
    with redis_of(waiting) as redis:
        assert redis.execute_command(*Claims().end(tag)) == 1  # dropped, as one of a cancelled job
    assert take(waiting) is None
    let_time_pass(waiting)
    assert take(waiting) is not None


def test_a_probe_that_told_nothing_is_taken_back_and_the_next_is_due_at_once(waiting: Celery) -> None:
    breaker = opened(waiting)
    waits = [let_time_pass(waiting)]
    for _ in range(2):
        _, tag, _ = take(waiting)
        assert take(waiting) is None
        with redis_of(waiting) as redis:
            redis.execute_command(*Claims().end(tag))
            redis.delete(QUEUE + BELL)
            breaker.untold()
            assert redis.llen(QUEUE + BELL) == 1
    breaker.untold()  # nobody has a probe that could be taken back
    assert take(waiting) is not None
    waits.append(let_time_pass(waiting))
    assert waits == pytest.approx([15, 30], abs=3)  # as if there had been one probe


def test_there_is_no_probe_to_take_back_while_the_breaker_is_closed(waiting: Celery) -> None:
    Breaker(waiting).untold()
    assert Breaker(waiting).state() is None
    assert take(waiting) is not None


def test_claims_that_run_out_are_given_back_all_the_same(waiting: Celery) -> None:
    _, tag, _ = take(waiting)
    opened(waiting)
    with redis_of(waiting) as redis:
        redis.zadd(INDEX, {tag: LONG_AGO})
    assert (take(waiting), ShardQueue(waiting).depth()) == (None, 3)


def test_all_is_taken_again_once_a_probe_is_fine(waiting: Celery) -> None:
    breaker = opened(waiting)
    let_time_pass(waiting)
    take(waiting)
    breaker.judge("a:1", [""], shard="probe")
    assert [take(waiting) is not None for _ in range(3)] == [True, True, False]


def test_a_redis_that_forgets_all_hands_out_what_is_queued_again(waiting: Celery) -> None:
    opened(waiting)
    with redis_of(waiting) as redis:
        redis.flushall()
    ShardQueue(waiting).send(HandmadeJob().shard("again.mp4"))
    assert take(waiting) is not None


def test_idle_workers_are_held_and_all_of_them_wake_when_it_closes(crew: TinyCrew) -> None:
    for _ in range(2):
        crew.start(threads=1)
    breaker = opened(crew.app, probe_seconds=600)
    for number in range(2):
        crew.send("hold", number, 5)
    time.sleep(NAP_SECONDS)
    assert crew.done() == []
    breaker.judge("a:1", [""], shard="probe")
    eventually(lambda: set(crew.done()) == {"0 begun", "1 begun"})


def test_an_ill_fleet_stops_probes_and_resumes_by_itself_and_nobody_is_condemned(crew: TinyCrew) -> None:
    with redis_of(crew.app) as redis:
        redis.set("tiny:ill", ILL)
        for number in range(20):
            crew.send("judged", f"{number}")
        crew.start(threads=1)
        crew.start(threads=1)
        breaker = Breaker(crew.app)
        eventually(lambda: breaker.state() is not None)
        time.sleep(NAP_SECONDS)
        claimed = int(redis.get("claims:counter"))
        believed = len(crew.done())
        time.sleep(NAP_SECONDS)
        assert int(redis.get("claims:counter")) - claimed <= 3
        assert len(crew.done()) == believed <= 2  # before there were three in a row
        redis.set("tiny:ill", "")
        eventually(lambda: len(crew.done()) == 20)
        assert breaker.state() is None
        assert [word for word in crew.done() if word.endswith(ILL)] == crew.done()[:believed]
