import time
from collections.abc import Callable, Iterator

import pytest
from builders import HandmadeJob
from celery import Celery

from broker.app import SWEEP_SECONDS, VISIBILITY_TIMEOUT_SECONDS
from broker.lease import RENEW_SECONDS, Leases
from broker.queues import ShardQueue, redis_of
from broker.scripts import INDEX

LONG_AGO = 1000.0


@pytest.fixture
def leases(app: Celery) -> Iterator[Leases]:
    leases = Leases(app, renew_seconds=0.02)
    yield leases
    leases.close()


def score(app: Celery, tag: str) -> float | None:
    with redis_of(app) as redis:
        return redis.zscore(INDEX, tag)


def age(app: Celery, tag: str) -> None:
    with redis_of(app) as redis:
        redis.zadd(INDEX, {tag: LONG_AGO})


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 5
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def test_a_held_claim_is_kept_fresh(app: Celery, leases: Leases, claim) -> None:
    ShardQueue(app).send(HandmadeJob().shard("a.mp4"))
    with claim() as message:
        assert score(app, message.delivery_tag) is not None
        with leases.hold(message.delivery_tag):
            for _ in range(2):
                age(app, message.delivery_tag)
                assert eventually(lambda: score(app, message.delivery_tag) > time.time() - 2)
        message.ack()


def test_a_claim_that_is_held_no_more_is_left_alone(app: Celery, leases: Leases) -> None:
    with leases.hold("tag"), leases.hold("other"):
        age(app, "tag")
        assert eventually(lambda: score(app, "tag") > LONG_AGO)
    age(app, "tag")
    with leases.hold("other"):
        age(app, "other")
        assert eventually(lambda: score(app, "other") > LONG_AGO)
    assert score(app, "tag") == LONG_AGO


def test_a_claim_that_was_taken_away_is_not_taken_back(app: Celery, leases: Leases) -> None:
    with leases.hold("taken"), leases.hold("other"):
        age(app, "other")
        assert eventually(lambda: score(app, "other") > LONG_AGO)
        assert score(app, "taken") is None


def test_a_claim_that_is_anothers_now_is_spoken_of_once(app: Celery, leases: Leases, caplog: pytest.LogCaptureFixture) -> None:
    with leases.hold("taken"), leases.hold("other"):
        for _ in range(2):
            age(app, "other")
            assert eventually(lambda: score(app, "other") > LONG_AGO)
    assert caplog.text.count("had run out before they were renewed") == 1


def test_a_broker_that_is_down_ends_no_renewing(dead_app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    leases = Leases(dead_app, renew_seconds=0.02)
    with leases.hold("tag"):
        assert eventually(lambda: caplog.text.count("leases were not renewed") >= 2)
    leases.close()


def test_a_claim_is_renewed_often_enough_to_survive_a_missed_renewal() -> None:
    assert 2 * RENEW_SECONDS + SWEEP_SECONDS < VISIBILITY_TIMEOUT_SECONDS
