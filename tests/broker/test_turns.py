"""Jobs that share a queue: who is next, counted."""

from collections.abc import Iterator

import pytest
from celery import Celery
from taking_turns import JOBS, Line

from broker import QUEUE
from broker.app import make_app
from broker.claims import list_of
from broker.queues import redis_of
from broker.scripts import CLAIMS
from broker.turns import SHARES, TOKEN, TURNS


@pytest.fixture
def line(app: Celery) -> Iterator[Line]:
    with redis_of(app) as redis:
        yield Line(redis)


def test_jobs_get_what_their_weights_say(line: Line) -> None:
    line.put("a", 400, weight=3)
    line.put("b", 400, weight=1)
    assert line.counts(400) == {"a": 300, "b": 100}
    line.adds_up()


def test_jobs_whose_weights_nobody_told_share_alike_and_take_turns(line: Line) -> None:
    for job in JOBS:
        line.put(job, 20)
    order = [one.job for one in line.takes(30)]
    assert all(set(order[at : at + 3]) == set(JOBS) for at in range(0, 30, 3))


def test_a_jobs_own_messages_come_out_in_the_order_they_went_in(line: Line) -> None:
    line.put("a", 5)
    line.put("b", 5)
    names = [one.name for one in line.takes(10)]
    assert [name for name in names if name[0] == "a"] == [f"a:{number}" for number in range(1, 6)]


def test_a_small_job_does_not_wait_for_a_huge_backlog(line: Line) -> None:
    line.put("a", 5000)
    line.takes(10)
    line.put("b", 5)
    assert line.counts(11)["b"] == 5


def test_who_comes_late_gets_its_share_from_now_on_and_no_more(line: Line) -> None:
    line.put("a", 1000)
    line.takes(500)
    line.put("b", 1000)
    assert line.counts(100) == {"a": 50, "b": 50}


def test_who_was_away_has_saved_up_nothing(line: Line) -> None:
    line.put("b", 1)
    line.put("a", 1000)
    assert line.counts(500) == {"a": 499, "b": 1}
    line.put("b", 1000)
    assert line.counts(100) == {"a": 50, "b": 50}


def test_who_leaves_and_comes_back_all_the_time_gets_its_share_and_no_more(line: Line) -> None:
    line.put("a", 1000, weight=3)
    taken = []
    for _ in range(400):
        if not line.waiting("b"):
            line.put("b", 1, weight=1)
        taken += line.takes(1)
    assert sum(one.job == "b" for one in taken) == pytest.approx(100, abs=2)


def test_who_comes_when_all_are_gone_is_not_made_to_wait_for_what_others_had(line: Line) -> None:
    line.put("a", 300)
    line.takes(300)
    line.put("b", 100)
    line.put("a", 100)
    assert line.counts(20) == {"a": 10, "b": 10}


def test_a_job_that_leaves_leaves_its_share_to_the_others(line: Line) -> None:
    line.put("a", 100, weight=9)
    line.put("b", 10, weight=1)
    line.put("c", 100, weight=1)
    assert line.counts(110)["b"] == 10
    assert line.counts(100)["c"] >= 90
    line.adds_up()


def test_a_weight_counts_from_the_next_turn_and_is_kept_by_those_who_say_none(line: Line) -> None:
    line.put("a", 600)
    line.put("b", 600)
    line.takes(10)
    line.put("a", 1, weight=3)
    line.put("a", 1)
    assert line.counts(400)["a"] == pytest.approx(300, abs=2)


@pytest.mark.parametrize("weight", ["0", "-1", "junk", ""])
def test_a_weight_that_somebody_spoilt_by_hand_stops_nobody(line: Line, weight: str) -> None:
    for job in "ab":
        line.put(job, 3)
    line.redis.hset(QUEUE + SHARES, JOBS["a"], weight)
    assert line.counts(6) == {"a": 3, "b": 3}


def test_a_job_whose_messages_all_come_back_takes_no_more_than_its_share(line: Line) -> None:
    line.put("a", 3)
    line.put("b", 200)
    taken = []
    for _ in range(100):
        taken += line.takes(1)
        if taken[-1].job == "a":
            line.give_back(taken[-1], as_the="next")
    assert sum(one.job == "a" for one in taken) == pytest.approx(50, abs=1)
    assert (line.waiting("a"), line.waiting("b")) == (3, 150)
    line.adds_up()


@pytest.mark.parametrize(("as_the", "then"), [("next", ["a:1", "a:2"]), ("last", ["a:2", "a:1"])])
def test_what_comes_back_waits_in_its_jobs_list_as_the_next_or_the_last(line: Line, as_the: str, then: list[str]) -> None:
    line.put("a", 2)
    line.put("b", 9)
    taken = line.takes(1)[0]
    assert taken.name == "a:1"
    line.give_back(taken, as_the=as_the)
    assert [one.name for one in line.takes(6) if one.job == "a"] == then


def test_what_ran_out_goes_back_to_its_job_which_has_turns_again(line: Line) -> None:
    line.put("a", 1)
    line.put("b", 1)
    line.run_out(*line.takes(2))
    assert line.take() is not None
    assert line.waiting("a") + line.waiting("b") == 1
    line.adds_up()
    line.takes(1)
    assert line.take() is None
    assert line.redis.exists(QUEUE, QUEUE + TURNS) == 0


def test_plain_messages_keep_their_place_in_the_line(line: Line) -> None:
    line.put("plain", 1)
    line.put("a", 2)
    line.put("plain", 1)
    line.put("b", 2)
    assert [one.job for one in line.takes(6)] == ["plain", "a", "b", "plain", "a", "b"]


def test_a_plain_message_that_comes_back_is_plain(line: Line) -> None:
    line.put("plain", 1)
    line.give_back(line.takes(1)[0])
    assert line.redis.llen(QUEUE) == 1
    assert line.takes(1)[0].name == "plain:1"


def test_tokens_without_messages_are_dropped_and_what_is_behind_them_is_found(line: Line) -> None:
    line.put("a", 50)
    line.put("plain", 1)
    line.redis.delete(list_of(QUEUE, JOBS["a"]))
    assert [one.job for one in line.takes(1)] == ["plain"]
    assert line.redis.exists(QUEUE, QUEUE + TURNS) == 0
    line.put("a", 1)
    assert line.counts(1) == {"a": 1}


def test_messages_without_tokens_are_taken_all_the_same(line: Line) -> None:
    line.put("a", 3)
    line.redis.delete(QUEUE)
    assert line.counts(3) == {"a": 3}
    assert line.take() is None


def test_jobs_that_lost_their_turns_get_them_back(line: Line) -> None:
    line.put("a", 2)
    line.put("b", 2)
    line.redis.delete(QUEUE + TURNS)
    assert line.counts(4) == {"a": 2, "b": 2}
    assert line.redis.hlen(CLAIMS) == 4


def test_jobs_that_lost_turns_and_tokens_get_them_back_when_somebody_counts(line: Line) -> None:
    line.put("a", 2)
    line.redis.delete(QUEUE, QUEUE + TURNS)
    assert line.names() == {"a:1", "a:2"}
    assert line.counts(2) == {"a": 2}


def test_tokens_and_messages_are_made_equal_when_somebody_counts(line: Line) -> None:
    line.put("a", 5)
    line.put("plain", 2)
    line.redis.rpop(list_of(QUEUE, JOBS["a"]))
    assert len(line.names()) == 6 == line.redis.llen(QUEUE)
    line.redis.lrem(QUEUE, 3, TOKEN)
    assert len(line.names()) == 6 == line.redis.llen(QUEUE)
    line.adds_up()


def test_a_server_that_is_full_hands_out_in_turns_and_takes_back(line: Line) -> None:
    for job in "ab":
        line.put(job, 4)
    try:
        line.redis.config_set("maxmemory", "1")
        taken = line.takes(4)
        assert sorted(one.job for one in taken) == ["a", "a", "b", "b"]
        line.give_back(taken[0])
        line.end(taken[1])
        assert line.run(line.claims.renew([taken[2].tag])) == []
        assert line.names() == {f"{job}:{number}" for job in "ab" for number in range(1, 5)} - {taken[1].name}
    finally:
        line.redis.config_set("maxmemory", "0")
    line.adds_up()


@pytest.mark.usefixtures("app")
def test_all_that_is_kept_of_jobs_is_behind_the_prefix(redis_url: str) -> None:
    ours, theirs = (make_app(f"{redis_url}?key_prefix={team}:") for team in ("ours", "theirs"))
    with redis_of(ours) as redis, redis_of(theirs) as other:
        line, beside = Line(redis), Line(other)
        line.put("a", 2, weight=2)
        beside.put("a", 1)
        line.give_back(line.takes(1)[0])
        assert line.names() == {"a:1", "a:2"}
        assert line.counts(2) == {"a": 2}
        keys = {key.decode() for key in redis.execute_command("KEYS", "*")} | {key.decode() for key in other.execute_command("KEYS", "*")}
        assert {key.partition(":")[0] for key in keys} == {"ours", "theirs"}
        assert beside.counts(1) == {"a": 1}
    for app in (ours, theirs):
        app.close()
