import pytest
from celery import Celery
from vital_signs import vitals

from broker.queues import redis_of
from broker.vitals import INDEX, LIVES_SECONDS, all_vitals, forget_vitals, tell_vitals
from schemas.errors import OperatorError


def test_nobody_is_there_at_first(app: Celery) -> None:
    assert all_vitals(app) == []


def test_the_latest_that_each_worker_said_is_what_counts(app: Celery) -> None:
    for frames in (1, 2):
        tell_vitals(app, vitals("b:2", frames=frames))
        tell_vitals(app, vitals("a:1", frames=10 * frames))
    assert all_vitals(app) == [vitals("a:1", frames=20), vitals("b:2", frames=2)]


def test_a_worker_that_leaves_is_not_there(app: Celery) -> None:
    tell_vitals(app, vitals("a:1"))
    tell_vitals(app, vitals("b:2"))
    forget_vitals(app, "a:1")
    assert [one.worker for one in all_vitals(app)] == ["b:2"]


def test_a_worker_that_falls_silent_is_soon_not_there(app: Celery) -> None:
    tell_vitals(app, vitals("a:1"))
    with redis_of(app) as redis:
        [key] = redis.keys("framefleet:vitals:*")
        assert 0 < redis.ttl(key) <= LIVES_SECONDS
        redis.delete(key)  # as Redis does at its end
    assert all_vitals(app) == []


def test_names_of_workers_that_are_long_gone_do_not_pile_up(app: Celery) -> None:
    with redis_of(app) as redis:
        redis.zadd(INDEX, {"long:ago": 1.0})
    tell_vitals(app, vitals("a:1"))
    with redis_of(app) as redis:
        assert (redis.zrange(INDEX, 0, -1), redis.ttl(INDEX) > 0) == ([b"a:1"], True)


def test_a_worker_of_another_version_is_left_out(app: Celery) -> None:
    tell_vitals(app, vitals("a:1"))
    tell_vitals(app, vitals("b:2"))
    with redis_of(app) as redis:
        redis.set("framefleet:vitals:a:1", b'{"worker": "a:1", "mood": "fine"}')
    assert [one.worker for one in all_vitals(app)] == ["b:2"]


def test_a_broker_that_is_down_is_told_with_what_to_do(dead_app: Celery) -> None:
    for ask in (lambda: all_vitals(dead_app), lambda: tell_vitals(dead_app, vitals("a:1")), lambda: forget_vitals(dead_app, "a:1")):
        with pytest.raises(OperatorError, match="--broker"):
            ask()
