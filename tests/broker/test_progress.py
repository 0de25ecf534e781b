import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery import Celery

from broker.progress import FAULTS_KEPT, KEPT_SECONDS, Progress, Tally, faults, report_fault
from broker.queues import redis_of
from schemas.errors import OperatorError


@pytest.fixture
def progress(app: Celery) -> Progress:
    return Progress(app, "s3://b/run")


def test_nothing_is_counted_at_first(progress: Progress) -> None:
    assert progress.tally() == Tally()


def test_counts_add_up(progress: Progress) -> None:
    progress.add(Tally(frames=3, videos=1))
    progress.add(Tally(frames=2, dead=1, shards=1))
    assert progress.tally() == Tally(frames=5, videos=1, dead=1, shards=1) == Tally(3, 1).plus(Tally(2, 0, 1, 1))


def test_jobs_are_counted_apart(app: Celery, progress: Progress) -> None:
    progress.add(Tally(frames=3))
    assert Progress(app, "s3://b/run2").tally() == Tally()


def test_counting_nothing_is_no_error(progress: Progress) -> None:
    progress.add(Tally())
    assert progress.tally() == Tally()


def count_at_once(progress: Progress, *, threads: int) -> None:
    start = threading.Barrier(threads)

    def count(_: int) -> None:
        start.wait()
        for _ in range(20):
            progress.add(Tally(frames=1))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(count, range(threads)))


def test_a_workers_threads_may_count_at_once(progress: Progress) -> None:
    count_at_once(progress, threads=8)
    assert progress.tally().frames == 8 * 20


def test_more_threads_than_the_pool_has_connections_may_count_at_once(progress: Progress) -> None:
    count_at_once(progress, threads=32)
    assert progress.tally().frames == 32 * 20


def test_counters_do_not_stay_for_ever(app: Celery, progress: Progress) -> None:
    progress.add(Tally(frames=1))
    report_fault(app, "ill")
    with redis_of(app) as redis:
        assert [0 < redis.ttl(key) <= KEPT_SECONDS for key in redis.keys("framefleet:*")] == [True] * 2


def test_a_fault_is_told_without_its_secrets(app: Celery) -> None:
    report_fault(app, "GET https://host/v.mp4?X-Amz-Signature=0123456789abcdef was refused")
    assert faults(app) == ["GET https://host/v.mp4?X-Amz-Signature=*** was refused"]


def test_the_latest_faults_are_kept_the_latest_first(app: Celery) -> None:
    for number in range(FAULTS_KEPT + 5):
        report_fault(app, f"fault {number} ü")
    assert faults(app) == [f"fault {number} ü" for number in reversed(range(5, FAULTS_KEPT + 5))]


def test_a_broker_that_is_down_is_told_with_what_to_do(dead_app: Celery) -> None:
    progress = Progress(dead_app, "j")
    for ask in (progress.tally, lambda: faults(dead_app), lambda: report_fault(dead_app, "x")):
        with pytest.raises(OperatorError, match="--broker"):
            ask()
