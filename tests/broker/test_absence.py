"""Time in which the broker itself was away counts against nobody's claim."""

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery
from taking_turns import Line, Taken
from tiny_crew import lasting_redis

from broker.app import VISIBILITY_TIMEOUT_SECONDS, make_app
from broker.lease import ANSWER_SECONDS, RENEW_SECONDS, Leases
from broker.queues import redis_of
from broker.scripts import ABSENT_SECONDS, INDEX, LOOKED, LOOKS_SECONDS
from broker.transport import NAP_SECONDS


@pytest.fixture
def line(app: Celery) -> Iterator[Line]:
    with redis_of(app) as redis:
        line = Line(redis)
        line.put("a", 2)
        yield line


def pass_time(line: Line, seconds: float, *, unseen: bool) -> None:
    """Make all that is remembered so much older; `unseen` if nobody looked meanwhile."""
    for tag, score in line.redis.zrange(INDEX, 0, -1, withscores=True):
        line.redis.zadd(INDEX, {tag: score - seconds})
    if unseen:
        line.redis.set(LOOKED, float(line.redis.get(LOOKED)) - seconds)


def alive(line: Line, taken: Taken) -> bool:
    """Whether a claim outlives a look for work."""
    line.run(line.claims.sweep())
    return line.redis.zscore(INDEX, taken.tag) is not None


@pytest.mark.parametrize("seconds", [ABSENT_SECONDS + 1.5, VISIBILITY_TIMEOUT_SECONDS, 60, 86400])
def test_a_claim_outlives_its_brokers_absence_and_runs_out_when_nobody_renews_it_then(line: Line, seconds: float) -> None:
    taken = line.takes(1)[0]
    pass_time(line, seconds, unseen=True)
    assert alive(line, taken)
    pass_time(line, VISIBILITY_TIMEOUT_SECONDS - LOOKS_SECONDS - 0.5, unseen=False)
    assert alive(line, taken)
    pass_time(line, 1.0, unseen=False)
    assert not alive(line, taken)
    assert line.waiting("a") == 2


def test_a_claim_that_was_renewed_after_the_absence_is_not_dated_ahead(line: Line) -> None:
    taken, other = line.takes(2)
    pass_time(line, 60, unseen=True)
    line.run(line.claims.renew([taken.tag]))
    assert alive(line, taken)
    assert alive(line, other)
    assert line.redis.zscore(INDEX, taken.tag) <= line.redis.time()[0] + 1


def test_claims_of_the_dead_run_out_even_where_those_who_live_seldom_look(line: Line) -> None:
    taken, rounds = line.takes(1)[0], 0
    while alive(line, taken):
        rounds += 1
        assert rounds < 10
        pass_time(line, VISIBILITY_TIMEOUT_SECONDS / 2 + 1, unseen=True)
    assert rounds > 2


@contextmanager
def full(line: Line) -> Iterator[None]:
    """While the block runs the server has no memory left."""
    line.redis.config_set("maxmemory", "1")
    try:
        yield
    finally:
        line.redis.config_set("maxmemory", "0")


def test_a_full_server_spares_claims_after_its_absence_and_gives_back_those_of_the_dead(line: Line) -> None:
    taken = line.takes(1)[0]
    pass_time(line, 60, unseen=True)
    with full(line):
        assert alive(line, taken)
    pass_time(line, VISIBILITY_TIMEOUT_SECONDS, unseen=False)
    with full(line):
        assert not alive(line, taken)


@pytest.mark.parametrize("looked", ["", "junk", "99999999999"])
def test_where_nobody_knows_when_somebody_looked_claims_run_out_as_ever(line: Line, looked: str) -> None:
    taken = line.takes(1)[0]
    line.run_out(taken)
    line.redis.set(LOOKED, looked)
    assert not alive(line, taken)


def test_whoever_waits_for_work_looks_often_enough_to_be_seen() -> None:
    assert max(NAP_SECONDS) <= LOOKS_SECONDS < ABSENT_SECONDS <= VISIBILITY_TIMEOUT_SECONDS / 2


def test_a_renewal_that_hears_nothing_is_given_up_in_time_for_another(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert 2 * (RENEW_SECONDS + ANSWER_SECONDS) <= VISIBILITY_TIMEOUT_SECONDS
    caplog.set_level(logging.WARNING)
    with lasting_redis(tmp_path) as start:
        server = start()
        while not (tmp_path / "redis.sock").exists():
            time.sleep(0.01)
        app = make_app(f"redis+socket://{tmp_path}/redis.sock")
        with redis_of(app) as redis:
            redis.zadd(INDEX, {"tag": time.time()})
        leases = Leases(app, renew_seconds=0.05)
        with leases.hold("tag") as hold:
            server.send_signal(signal.SIGSTOP)
            begin = time.monotonic()
            while "leases were not renewed" not in caplog.text:
                assert time.monotonic() - begin < ANSWER_SECONDS + 5
                time.sleep(0.02)
            server.send_signal(signal.SIGCONT)
            with redis_of(app) as redis:
                asked_at = redis.time()[0]
                while redis.zscore(INDEX, "tag") < asked_at:
                    assert time.monotonic() - begin < ANSWER_SECONDS + 10
                    time.sleep(0.02)
            assert not hold.lost
        leases.close()
        app.close()
