"""How trials lie in Redis: whole, apart, for a while, and no loss if they are gone."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from celery import Celery

from broker.app import make_app
from broker.queues import redis_of
from broker.scripts import INDEX
from broker.trial_scripts import KEPT_SECONDS
from broker.trials import Trial, Trials
from schemas.errors import OperatorError
from schemas.reasons import Stage

JOB = "s3://b/run"


@pytest.fixture
def trials(app: Celery) -> Trials:
    return Trials(app, JOB)


def begin(trials: Trials, number: int, *, worker: str = "w") -> Trial:
    """Begin under a claim of its own, which is no more when the next one begins."""
    return trials.begin("s", tag=f"tag {number}", worker=worker)


def kept(app: Celery) -> dict[str, Any]:
    """What Redis has of all shards."""
    with redis_of(app) as redis:
        return {shard.decode(): json.loads(state) for key in redis.keys("*:trials") for shard, state in redis.hgetall(key).items()}


def test_of_workers_that_begin_at_once_each_is_counted_and_one_is_open(trials: Trials) -> None:
    start = threading.Barrier(8)

    def race(number: int) -> int:
        start.wait()
        return begin(trials, number, worker=f"w{number}").attempts

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(race, range(8))) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert sum(trials.refund("s", tag=f"tag {number}") for number in range(8)) == 1
    trial = begin(trials, 9)
    assert (trial.attempts, trial.expiries, trial.suspect, trial.guilty) == (8, 7, True, False)


def test_shards_and_jobs_are_tried_apart(app: Celery, trials: Trials) -> None:
    begin(trials, 1)
    other = Trials(app, f"{JOB}2")
    assert trials.begin("t", tag="tag 1", worker="w") == other.begin("s", tag="tag 1", worker="w") == Trial(attempts=1)
    assert (trials.attempts(), other.attempts()) == ({"s": 1, "t": 1}, {"s": 1})


def test_a_redis_that_forgets_everything_starts_anew(app: Celery, trials: Trials) -> None:
    begin(trials, 1)
    trials.crashed("s", tag="tag 1", how="SIGSEGV", alone=True)
    begin(trials, 2)
    with redis_of(app) as redis:
        redis.flushall()
    assert not trials.mark("s", tag="tag 2", place=0, stage=Stage.FETCH)
    assert not trials.put_back("s", tag="tag 2")
    assert begin(trials, 3) == Trial(attempts=1)


def test_what_is_kept_does_not_stay_for_ever(app: Celery, trials: Trials) -> None:
    begin(trials, 1)
    with redis_of(app) as redis:
        [key] = redis.keys("*")
        redis.expire(key, 10)
        trials.mark("s", tag="tag 1", place=0, stage=Stage.FETCH)
        assert KEPT_SECONDS - 10 < redis.ttl(key) <= KEPT_SECONDS
        redis.expire(key, 10)
        trials.put_back("s", tag="tag 1")
        assert KEPT_SECONDS - 10 < redis.ttl(key) <= KEPT_SECONDS


def test_what_is_kept_has_no_empty_list(app: Celery, trials: Trials) -> None:
    begin(trials, 1)
    trials.put_back("s", tag="tag 1")
    assert kept(app) == {
        "s": {
            "trial": {"attempts": 1, "crashes": 0, "expiries": 0, "suspect": False, "guilty": False, "how": ""},
            "seen": {},
        }
    }
    begin(trials, 2, worker="1")
    trials.mark("s", tag="tag 2", place=0, stage=Stage.FETCH)
    begin(trials, 3)
    assert kept(app)["s"]["seen"] == {"0": {"1": True}}


def test_a_full_server_lets_shards_be_tried_so_that_it_can_be_drained(app: Celery, trials: Trials) -> None:
    with redis_of(app) as redis:
        try:
            redis.config_set("maxmemory", "1")
            assert begin(trials, 1) == Trial(attempts=1)
            assert trials.mark("s", tag="tag 1", place=0, stage=Stage.FETCH)
            assert trials.put_back("s", tag="tag 1")
            trials.settled("s")
        finally:
            redis.config_set("maxmemory", "0")
    assert kept(app) == {}


@pytest.fixture
def prefixed(redis_url: str) -> Iterator[Celery]:
    app = make_app(f"{redis_url}?key_prefix=ours:")
    yield app
    app.close()


def test_every_key_has_the_fleets_prefix(app: Celery, prefixed: Celery) -> None:
    ours, theirs = Trials(prefixed, JOB), Trials(app, JOB)
    with redis_of(prefixed) as redis:
        redis.zadd(INDEX, {"tag 1": 1000})
    begin(ours, 1)
    assert ours.begin("s", tag="tag 2", worker="late") == Trial(attempts=1)
    assert (ours.attempts(), theirs.attempts()) == ({"s": 1}, {})
    with redis_of(app) as redis:
        assert all(key.startswith(b"ours:") for key in redis.keys("*"))
    ours.settled("s")
    assert ours.attempts() == {}


def test_a_broker_that_is_down_is_told_with_what_to_do_by_trials(dead_app: Celery) -> None:
    trials = Trials(dead_app, JOB)
    for ask in (lambda: begin(trials, 1), lambda: trials.settled("s"), trials.attempts, lambda: trials.refund("s", tag="tag 1")):
        with pytest.raises(OperatorError, match="--broker"):
            ask()
