"""One look at the broker agrees with what its parts say of themselves."""

import time

import pytest
from builders import HandmadeJob
from celery import Celery

from broker import QUEUE, TASK
from broker.breaker import Breaker
from broker.look import TrialCounts, job_of, look_at, sent_at
from broker.messages import short_name
from broker.queues import ShardQueue, redis_of
from broker.trials import Trials
from schemas.errors import BrokerAwayError

HERE, THERE = HandmadeJob(), HandmadeJob()


@pytest.fixture
def queue(app: Celery) -> ShardQueue:
    """Three shards of one job and one of another."""
    queue = ShardQueue(app)
    queue.send_all([HERE.shard("a"), HERE.shard("b"), HERE.shard("c")])
    queue.send(THERE.shard("d"))
    return queue


def test_an_empty_broker_shows_nothing(app: Celery) -> None:
    look = look_at(app, [HERE.job.url])
    assert (look.queued, look.in_flight, look.oldest_seconds, look.breaker_open, look.limit_bytes) == (0, 0, None, False, None)
    assert look.queued_of == {short_name(HERE.job.url): 0}
    assert look.trials_of == {HERE.job.url: TrialCounts()}
    assert look.used_bytes > 0


def test_what_waits_is_counted_in_all_and_by_job(app: Celery, queue: ShardQueue) -> None:
    look = look_at(app, [HERE.job.url])
    assert look.queued == queue.depth() == 4
    assert look.queued_of == {short_name(HERE.job.url): 3, short_name(THERE.job.url): 1}  # also of a job that nobody named


@pytest.mark.usefixtures("queue")
def test_what_is_claimed_is_counted_by_job(app: Celery, claim) -> None:
    with claim(), claim():
        look = look_at(app, [HERE.job.url])
        assert (look.queued, look.in_flight) == (2, 2)
        assert sum(look.in_flight_of.values()) == 2
        assert set(look.in_flight_of) <= {short_name(job.job.url) for job in (HERE, THERE)}


def test_trials_are_counted_by_job(app: Celery) -> None:
    trials = Trials(app, HERE.job.url)
    for shard in ("one", "two", "two"):
        trials.begin(shard, tag="t", worker="host:1")
        trials.put_back(shard, tag="t")
    trials.begin("three", tag="t", worker="host:1")
    trials.crashed("three", tag="t", how="SIGKILL", alone=False)
    assert look_at(app, [HERE.job.url, THERE.job.url]).trials_of == {
        HERE.job.url: TrialCounts(attempts=4, retried=1, suspects=1),
        THERE.job.url: TrialCounts(),
    }


def test_an_open_breaker_is_seen(app: Celery) -> None:
    breaker = Breaker(app)
    for worker in ("a:1", "b:1"):
        breaker.judge(worker, ["engine_failed"] * 5, shard=worker)
    assert breaker.state() is not None
    assert look_at(app, []).breaker_open


def test_the_oldest_message_next_in_line_tells_its_age(app: Celery) -> None:
    queued_at = time.time() - 100
    app.send_task(TASK, args=[{}], queue=QUEUE, headers={"once": True, "job": "j", "weight": None, "sent_at": queued_at + 40})
    app.send_task(TASK, args=[{}], queue=QUEUE, headers={"once": True, "job": "i", "weight": None, "sent_at": queued_at})
    oldest = look_at(app, []).oldest_seconds
    assert oldest is not None
    assert 100 <= oldest < 160


@pytest.mark.parametrize("message", [b"{}", b'{"headers": {}}', b'{"headers": {"sent_at": "now"}}', b'{"headers": {"sent_at": null}}'])
def test_a_message_of_another_version_has_no_age(message: bytes) -> None:
    assert sent_at(message) is None


def test_a_claim_tells_its_job_by_the_list_that_it_came_from() -> None:
    assert [job_of(origin) for origin in (b"framefleet:job:abc", b"prefix:framefleet:job:abc", b"framefleet")] == ["abc", "abc", ""]


def test_the_memory_limit_is_redis_own(app: Celery) -> None:
    with redis_of(app) as redis:
        redis.execute_command("CONFIG", "SET", "maxmemory", 1 << 30)
    try:
        assert look_at(app, []).limit_bytes == 1 << 30
    finally:
        with redis_of(app) as redis:
            redis.execute_command("CONFIG", "SET", "maxmemory", 0)


def test_a_broker_that_is_away_is_said_so_soon(dead_app: Celery) -> None:
    began = time.monotonic()
    with pytest.raises(BrokerAwayError):
        look_at(dead_app, [HERE.job.url])
    assert time.monotonic() - began < 30
