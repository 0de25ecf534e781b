import threading
import time
from collections.abc import Callable, Iterator

import pytest
from builders import HandmadeJob
from celery import Celery

from broker import QUEUE
from broker.app import SWEEP_SECONDS, VISIBILITY_TIMEOUT_SECONDS, make_app
from broker.lease import CELERYS_INDEX, RENEW_SECONDS, Hold, Leases
from broker.queues import ShardQueue, redis_of
from broker.scripts import INDEX
from schemas.errors import ClaimLostError

LONG_AGO = 1000.0


@pytest.fixture
def leases(app: Celery) -> Iterator[Leases]:
    leases = Leases(app, renew_seconds=0.02)
    yield leases
    leases.close()


@pytest.fixture
def lazy(app: Celery) -> Iterator[Leases]:
    """Leases whose thread never gets to renew within a test."""
    leases = Leases(app, renew_seconds=60)
    yield leases
    leases.close()


def score(app: Celery, tag: str, *, index: str = INDEX) -> float | None:
    with redis_of(app) as redis:
        return redis.zscore(index, tag)


def age(app: Celery, *tags: str, index: str = INDEX) -> None:
    """Have claims that were last renewed long ago."""
    with redis_of(app) as redis:
        redis.zadd(index, dict.fromkeys(tags, LONG_AGO))


def take_away(app: Celery, tag: str) -> None:
    """What the next look for work does with a claim that ran out."""
    with redis_of(app) as redis:
        redis.zrem(INDEX, tag)


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 30
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return holds()


def test_a_held_claim_is_kept_fresh(app: Celery, leases: Leases, claim) -> None:
    ShardQueue(app).send(HandmadeJob().shard("a.mp4"))
    with claim() as message:
        assert score(app, message.delivery_tag) is not None
        with leases.hold(message.delivery_tag) as hold:
            for _ in range(2):
                age(app, message.delivery_tag)
                assert eventually(lambda: score(app, message.delivery_tag) > LONG_AGO)
        message.ack()
    assert not hold.lost


def test_a_claim_is_renewed_before_its_work_begins(app: Celery, lazy: Leases) -> None:
    age(app, "tag")
    with lazy.hold("tag"):
        assert score(app, "tag") > LONG_AGO


def test_celerys_own_claims_are_renewed_too(redis_url: str, app: Celery) -> None:
    plain = make_app(f"{redis_url}?transport=celery")
    ShardQueue(plain).send(HandmadeJob().shard("a.mp4"))
    leases = Leases(plain, renew_seconds=0.02)
    with plain.connection_for_read() as connection, connection.channel() as channel:
        message = channel.basic_get(QUEUE)
        with leases.hold(message.delivery_tag) as hold:
            age(app, message.delivery_tag, index=CELERYS_INDEX)
            assert eventually(lambda: score(app, message.delivery_tag, index=CELERYS_INDEX) > LONG_AGO)
            message.ack()
            assert eventually(lambda: hold.lost)
    leases.close()
    plain.close()


def test_a_claim_that_is_held_no_more_is_left_alone(app: Celery, leases: Leases) -> None:
    age(app, "tag", "other")
    with leases.hold("tag"), leases.hold("other"):
        age(app, "tag")
        assert eventually(lambda: score(app, "tag") > LONG_AGO)
    age(app, "tag")
    with leases.hold("other"):
        age(app, "other")
        assert eventually(lambda: score(app, "other") > LONG_AGO)
    assert score(app, "tag") == LONG_AGO


def test_work_on_a_claim_that_is_gone_does_not_begin(app: Celery, leases: Leases) -> None:
    begun = False
    with pytest.raises(ClaimLostError, match="another worker"), leases.hold("gone"):
        begun = True
    assert (begun, score(app, "gone")) == (False, None)


def test_a_claim_that_was_refused_is_asked_for_no_more(leases: Leases, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ClaimLostError), leases.hold("gone"):
        pass
    time.sleep(0.1)
    assert caplog.text.count("had run out before they were renewed") == 1


def test_who_holds_a_claim_that_was_taken_away_is_told_and_does_not_take_it_back(app: Celery, leases: Leases) -> None:
    age(app, "taken", "other")
    with leases.hold("taken") as taken, leases.hold("other") as other:
        assert not taken.lost
        take_away(app, "taken")
        assert eventually(lambda: taken.lost)
        age(app, "other")
        assert eventually(lambda: score(app, "other") > LONG_AGO)
        assert (score(app, "taken"), other.lost) == (None, False)


def test_a_claim_that_a_successor_has_is_lost_to_its_first_holder(app: Celery, leases: Leases, claim) -> None:
    ShardQueue(app).send(HandmadeJob().shard("a.mp4"))
    with claim() as first, leases.hold(first.delivery_tag) as hold:
        first.requeue()  # as a sweep does once a worker was frozen for too long
        with claim() as second, leases.hold(second.delivery_tag) as successor:
            assert eventually(lambda: hold.lost)
            assert not successor.lost
            second.ack()


def test_a_claim_that_is_anothers_now_is_spoken_of_once(app: Celery, leases: Leases, caplog: pytest.LogCaptureFixture) -> None:
    age(app, "taken", "other")
    with leases.hold("taken"), leases.hold("other"):
        take_away(app, "taken")
        for _ in range(2):
            age(app, "other")
            assert eventually(lambda: score(app, "other") > LONG_AGO)
    assert caplog.text.count("had run out before they were renewed") == 1


def test_a_broker_that_is_down_ends_no_renewing_and_takes_no_claim(dead_app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    leases = Leases(dead_app, renew_seconds=0.02)
    with leases.hold("tag") as hold:
        assert eventually(lambda: caplog.text.count("leases were not renewed") >= 3)
        assert not hold.lost
    leases.close()


class Unsound:
    """An application that fails, where nothing fails, as often as it was told to."""

    def __init__(self, app: Celery, *, times: int) -> None:
        self.conf = app.conf
        self._app, self._times = app, times

    def connection_for_write(self, **options: object) -> object:
        if self._times:
            self._times -= 1
            raise ZeroDivisionError
        return self._app.connection_for_write(**options)


def test_an_error_that_nobody_thought_of_ends_no_renewing(app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    age(app, "tag")
    leases = Leases(Unsound(app, times=3), renew_seconds=0.02)
    with leases.hold("tag") as hold:
        assert eventually(lambda: score(app, "tag") > LONG_AGO)
        assert not hold.lost
    leases.close()
    assert caplog.text.count("leases were not renewed") == 3


@pytest.fixture
def told() -> list[str]:
    """What who watches the worker was told."""
    return []


@pytest.fixture
def restless(app: Celery, told: list[str]) -> Iterator[Leases]:
    """Leases that soon lose their patience."""
    leases = Leases(app, renew_seconds=0.02, stall_seconds=2.0, stalled=lambda: told.append("stalled"))
    yield leases
    leases.close()


def test_a_worker_that_does_not_get_on_is_told_once_and_its_claims_are_left_to_run_out(
    app: Celery, restless: Leases, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    age(app, "tag")
    with restless.hold("tag"):
        assert eventually(lambda: told == ["stalled"])
        age(app, "tag")
        restless.progress()  # which comes too late
        time.sleep(0.1)
        assert (score(app, "tag"), told) == (LONG_AGO, ["stalled"])
    assert "nothing has moved for 2 s in 1 shards" in caplog.text


def still_held(app: Celery, leases: Leases, hold: Hold, *, for_seconds: float) -> None:
    end = time.monotonic() + for_seconds
    while time.monotonic() < end:
        leases.progress()
        time.sleep(0.02)
    age(app, hold.tag)
    leases.progress()
    assert eventually(lambda: score(app, hold.tag) > LONG_AGO)


def test_a_worker_that_gets_on_keeps_its_claims_however_long_it_takes(app: Celery, restless: Leases, told: list[str]) -> None:
    age(app, "tag")
    with restless.hold("tag") as hold:
        still_held(app, restless, hold, for_seconds=2.5)
    assert told == []


def test_shards_that_begin_and_end_are_progress_too(app: Celery, restless: Leases, told: list[str]) -> None:
    age(app, "long", "short")
    with restless.hold("long"):
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            with restless.hold("short"):
                time.sleep(0.02)
    assert told == []


def test_a_shard_that_may_take_longer_without_a_word_is_given_its_own_patience(app: Celery, told: list[str]) -> None:
    leases = Leases(app, renew_seconds=0.02, stall_seconds=0.1, stalled=lambda: told.append("stalled"))
    age(app, "slow", "other")
    with leases.hold("other", patience_seconds=0.05):
        with leases.hold("slow", patience_seconds=60):
            time.sleep(0.4)
            age(app, "slow")
            assert eventually(lambda: score(app, "slow") > LONG_AGO)
            assert told == []
        assert eventually(lambda: told == ["stalled"])  # what is still held has the patience of all
    leases.close()


def test_an_idle_worker_does_not_stall(app: Celery, restless: Leases, told: list[str]) -> None:
    time.sleep(2.5)
    age(app, "tag")
    with restless.hold("tag"):
        age(app, "tag")
        assert eventually(lambda: score(app, "tag") > LONG_AGO)
    assert told == []


def test_a_worker_stalls_while_the_broker_is_away_too(dead_app: Celery, told: list[str]) -> None:
    leases = Leases(dead_app, renew_seconds=0.02, stall_seconds=0.1, stalled=lambda: told.append("stalled"))
    with leases.hold("tag"):
        assert eventually(lambda: told == ["stalled"])
    leases.close()


def test_who_is_told_of_a_stall_may_close_the_leases(app: Celery) -> None:
    closed = threading.Event()

    def close() -> None:
        leases.close()
        closed.set()

    age(app, "tag")
    leases = Leases(app, renew_seconds=0.02, stall_seconds=0.1, stalled=close)
    with leases.hold("tag"):
        assert closed.wait(30)
    leases.close()


def test_a_claim_is_renewed_often_enough_to_survive_a_missed_renewal() -> None:
    assert 2 * RENEW_SECONDS + SWEEP_SECONDS < VISIBILITY_TIMEOUT_SECONDS
