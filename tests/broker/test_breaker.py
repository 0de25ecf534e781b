"""When the breaker opens, when it must not, and how it closes."""

import json
import logging

import pytest
from celery import Celery
from vital_signs import vitals

from broker import QUEUE
from broker.app import make_app
from broker.breaker import SAYS_NOTHING, Breaker, BreakerWatch, Verdict
from broker.breaker_scripts import PATIENCE_SECONDS, WINDOW, WINDOW_SECONDS
from broker.queues import redis_of
from broker.scripts import BREAKER, BREAKER_KEPT_SECONDS
from broker.vitals import tell_vitals

ILL, FINE, TORN = "engine_failed", "", "truncated"


@pytest.fixture
def breaker(app: Celery) -> Breaker:
    return Breaker(app)


def opened(app: Celery, **rules) -> Breaker:
    """A breaker that two workers have opened."""
    breaker = Breaker(app, **rules)
    assert breaker.judge("a:1", [ILL] * 5, shard="first") is Verdict.DOUBT
    assert breaker.judge("b:1", [ILL] * 5, shard="second") is Verdict.OPEN
    return breaker


def test_nobody_is_accused_at_first(breaker: Breaker) -> None:
    assert breaker.state() is None
    assert breaker.judge("a:1", [FINE, ILL, FINE]) is Verdict.BELIEVE
    assert breaker.judge("a:1", []) is Verdict.BELIEVE


def test_most_units_failing_alike_on_two_workers_is_the_fleets_fault(app: Celery) -> None:
    with redis_of(app) as redis:
        before = redis.time()[0]
    state = opened(app).state()
    assert (state.failure, state.failing, state.units, state.workers) == (ILL, 10, 10, 2)
    assert 0 <= state.opened_at.timestamp() - before <= 5
    assert 10 < state.next_probe_in_seconds <= 15
    assert state.in_words() == "10 of the last 10 videos failed with engine_failed on 2 workers"


def test_an_outage_that_begins_in_full_work_opens_before_anybody_is_condemned(breaker: Breaker) -> None:
    for shard in range(10):
        breaker.judge(f"{'abc'[shard % 3]}:1", [FINE] * 5, shard=f"fine {shard}")
    verdicts = [breaker.judge(f"{'abc'[shard % 3]}:1", [ILL] * 5, shard=f"ill {shard}") for shard in range(4)]
    assert verdicts == [Verdict.DOUBT, Verdict.DOUBT, Verdict.OPEN, Verdict.OPEN]
    assert breaker.state().units == 20


def test_a_fleet_of_one_is_doubted_and_goes_on(breaker: Breaker) -> None:
    assert {breaker.judge("a:1", [ILL] * 8, shard=f"{shard}") for shard in range(20)} == {Verdict.DOUBT}
    assert breaker.state() is None


def test_a_worker_that_is_started_again_and_again_is_one(app: Celery, breaker: Breaker) -> None:
    for pid in range(5):
        assert breaker.judge(f"a:{pid}", [ILL] * 5, shard=f"{pid}") is Verdict.DOUBT
    tell_vitals(app, vitals("a:3"))  # so this one is there, beside the one that is judged
    assert breaker.judge("a:4", [ILL] * 5, shard="5") is Verdict.OPEN


def test_files_that_are_broken_open_nothing_however_many(breaker: Breaker) -> None:
    for shard in range(20):
        assert breaker.judge(f"{'abc'[shard % 3]}:1", [TORN] * 7 + [ILL], shard=f"{shard}") is not Verdict.OPEN
    assert breaker.state() is None


def test_a_poison_minority_opens_nothing_and_is_believed(breaker: Breaker) -> None:
    for shard in range(60):
        assert breaker.judge(f"{'abc'[shard % 3]}:1", [ILL, FINE, "decoder_crashed", FINE, ILL], shard=f"{shard}") is Verdict.BELIEVE
    for shard in range(60):
        assert breaker.judge(f"{'abc'[shard % 3]}:1", [ILL if shard % 2 else FINE], shard=f"one {shard}") is Verdict.BELIEVE
    assert breaker.state() is None


def test_failures_of_many_kinds_are_no_one_fault(breaker: Breaker) -> None:
    kinds = ["decoder_crashed", "engine_timeout", "invalid_answer"]
    for shard in range(12):
        assert breaker.judge(f"{'ab'[shard % 2]}:1", [kinds[shard % 3]] * 3, shard=f"{shard}") is Verdict.DOUBT
    assert breaker.state() is None


def test_a_few_failures_in_a_row_are_doubted_until_something_is_fine(breaker: Breaker) -> None:
    verdicts = [breaker.judge("a:1", [unit], shard=f"{shard}") for shard, unit in enumerate([ILL, ILL, ILL, FINE, ILL])]
    assert verdicts == [Verdict.BELIEVE, Verdict.BELIEVE, Verdict.DOUBT, Verdict.BELIEVE, Verdict.BELIEVE]


def test_what_says_nothing_neither_accuses_nor_acquits(app: Celery) -> None:
    breaker = opened(app)
    assert breaker.judge("c:1", [SAYS_NOTHING] * 9, shard="x") is Verdict.BELIEVE
    assert breaker.state() is not None
    breaker.reset()
    breaker.judge("a:1", [ILL] * 5, shard="one")
    breaker.judge("a:1", [SAYS_NOTHING] * 5, shard="one")  # whose failures stand
    assert breaker.judge("b:1", [ILL] * 5, shard="two") is Verdict.OPEN


def test_one_bad_shard_is_not_many_whoever_tries_it(breaker: Breaker) -> None:
    for worker in "abcdefgh":
        assert breaker.judge(f"{worker}:1", [ILL] * 20, shard="bad") is Verdict.DOUBT
    assert breaker.state() is None


def test_a_long_shard_counts_with_its_last_few(breaker: Breaker) -> None:
    breaker.judge("a:1", [ILL] * 60 + [FINE] * 5, shard="long")
    breaker.judge("b:1", [ILL] * 64, shard="longer")
    assert breaker.judge("c:1", [ILL], shard="short") is Verdict.DOUBT
    assert breaker.state() is None  # 6 of 11


def test_what_is_older_than_ten_minutes_does_not_count(app: Celery, breaker: Breaker) -> None:
    breaker.judge("a:1", [ILL] * 5, shard="old")
    with redis_of(app) as redis:
        assert 0 < redis.ttl(WINDOW) <= WINDOW_SECONDS
        units = [unit | {"t": unit["t"] - WINDOW_SECONDS - 1} for unit in json.loads(redis.get(WINDOW))]
        redis.set(WINDOW, json.dumps(units))
    assert breaker.judge("b:1", [ILL] * 5, shard="new") is Verdict.DOUBT
    assert breaker.state() is None
    assert breaker.judge("c:1", [ILL] * 5, shard="newer") is Verdict.OPEN


def test_while_it_is_open_failures_keep_it_so_and_a_fine_unit_closes_it(app: Celery) -> None:
    breaker = opened(app)
    assert breaker.judge("a:1", [ILL], shard="probe") is Verdict.OPEN
    assert breaker.judge("a:1", ["decoder_crashed"], shard="other") is Verdict.OPEN
    assert breaker.judge("a:1", [FINE], shard="probe") is Verdict.BELIEVE
    assert breaker.state() is None
    with redis_of(app) as redis:
        assert (redis.exists(WINDOW), redis.llen(f"{QUEUE}:bell")) == (0, 1)
    assert breaker.judge("a:1", [ILL], shard="next") is Verdict.BELIEVE


def test_units_that_were_fine_before_the_fault_do_not_close_it_and_after_it_they_do(app: Celery) -> None:
    breaker = opened(app)
    assert breaker.judge("c:1", [FINE, FINE, FINE, ILL], shard="in work when it opened") is Verdict.OPEN
    assert breaker.state() is not None
    assert breaker.judge("c:1", [FINE, FINE, FINE, ILL], shard="in work when it opened") is Verdict.OPEN
    assert breaker.state() is None


def test_a_failure_waits_for_a_witness_and_one_that_is_fine_speaks_against_it(breaker: Breaker) -> None:
    assert breaker.judge("a:1", [ILL], shard="bad") is Verdict.BELIEVE
    assert breaker.witness("bad", age_seconds=0) is Verdict.ALONE
    breaker.judge("a:1", [ILL], shard="other")
    assert [breaker.witness(shard, age_seconds=0) for shard in ("bad", "other")] == [Verdict.DOUBT] * 2
    breaker.judge("a:1", [FINE], shard="fine")
    assert [breaker.witness(shard, age_seconds=0) for shard in ("bad", "other")] == [Verdict.BELIEVE] * 2


def test_a_witness_that_was_fine_before_or_whose_bytes_are_broken_says_nothing_of_a_failure(breaker: Breaker) -> None:
    breaker.judge("a:1", [ILL], shard="long ago")
    breaker.judge("a:1", [FINE], shard="fine")
    breaker.judge("a:1", [FINE, ILL, TORN], shard="bad")
    breaker.judge("b:1", [TORN], shard="torn")
    assert breaker.witness("bad", age_seconds=0) is Verdict.ALONE
    breaker.judge("b:1", [ILL, TORN], shard="late")
    assert breaker.witness("bad", age_seconds=0) is Verdict.DOUBT


def test_whoever_was_under_way_while_it_was_open_is_not_believed_when_it_has_closed(app: Celery) -> None:
    breaker = opened(app)
    assert breaker.witness("first", age_seconds=1) is Verdict.OPEN
    breaker.judge("c:1", [FINE], shard="probe")
    assert breaker.state() is None
    assert breaker.judge("a:1", [FINE, ILL], shard="before", age_seconds=60) is Verdict.OPEN
    assert breaker.witness("before", age_seconds=60) is Verdict.OPEN
    assert breaker.judge("a:1", [FINE, ILL], shard="after", age_seconds=0) is Verdict.BELIEVE


def test_a_shard_of_which_most_fails_does_not_close_it(app: Celery) -> None:
    breaker = opened(app)
    assert breaker.judge("c:1", [ILL, ILL, FINE], shard="x") is Verdict.OPEN
    assert breaker.state() is not None


def test_broken_files_are_believed_while_it_is_open_and_prove_nothing(app: Celery) -> None:
    breaker = opened(app)
    assert breaker.judge("c:1", [TORN, TORN], shard="x") is Verdict.BELIEVE
    assert breaker.state() is not None


def test_where_nothing_but_bad_shards_is_left_they_are_believed_in_the_end(app: Celery) -> None:
    breaker = opened(app)
    assert {breaker.judge("a:1", [ILL], shard="bad") for _ in range(9)} == {Verdict.OPEN}
    with redis_of(app) as redis:
        redis.hincrbyfloat(BREAKER, "opened_at", -PATIENCE_SECONDS - 1)
    assert breaker.judge("a:1", [ILL], shard="bad") is Verdict.BELIEVE
    assert [breaker.judge("a:1", [ILL], shard="fresh") for _ in range(4)] == [Verdict.OPEN] * 3 + [Verdict.BELIEVE]
    assert breaker.state() is not None


def test_nobody_waits_for_ever_for_a_breaker_that_nobody_works_on(app: Celery) -> None:
    opened(app)
    with redis_of(app) as redis:
        assert 0 < redis.ttl(BREAKER) <= BREAKER_KEPT_SECONDS


@pytest.mark.parametrize("rules", [{"units": 0}, {"least": 0}])
def test_one_that_is_switched_off_believes_all_and_closes_what_is_open(app: Celery, rules: dict[str, int]) -> None:
    breaker, off = opened(app), Breaker(app, **rules)
    assert off.judge("a:1", [ILL] * 20, shard="x") is Verdict.BELIEVE
    assert breaker.state() is None


def test_few_units_are_enough_where_few_are_asked_for(app: Celery) -> None:
    breaker = Breaker(app, units=4)
    verdicts = [breaker.judge(f"{'ab'[shard % 2]}:1", [ILL], shard=f"{shard}") for shard in range(4)]
    assert verdicts == [Verdict.BELIEVE, Verdict.BELIEVE, Verdict.DOUBT, Verdict.OPEN]


def test_a_reset_closes_it(app: Celery) -> None:
    breaker = opened(app)
    breaker.reset()
    assert breaker.state() is None


def test_a_redis_that_forgets_all_has_a_closed_breaker(app: Celery) -> None:
    breaker = opened(app)
    with redis_of(app) as redis:
        redis.flushall()
    assert (breaker.state(), breaker.judge("a:1", [ILL])) == (None, Verdict.BELIEVE)


def test_a_broker_that_does_not_answer_leaves_what_failed_in_doubt(dead_app: Celery) -> None:
    breaker = Breaker(dead_app)
    assert (breaker.judge("a:1", [FINE]), breaker.judge("a:1", [FINE, ILL])) == (Verdict.BELIEVE, Verdict.DOUBT)
    assert Breaker(dead_app, units=0).judge("a:1", [ILL]) is Verdict.BELIEVE
    BreakerWatch(breaker).look()


@pytest.mark.usefixtures("app")  # which empties Redis
def test_fleets_with_prefixes_have_breakers_of_their_own(redis_url: str) -> None:
    ours, theirs = (make_app(f"{redis_url}?key_prefix={team}:") for team in ("ours", "theirs"))
    tell_vitals(ours, vitals("a:1"))
    breaker = Breaker(ours)
    breaker.judge("a:1", [ILL] * 5, shard="one")
    assert breaker.judge("a:2", [ILL] * 5, shard="two") is Verdict.OPEN
    assert Breaker(theirs).state() is None
    for app in (ours, theirs):
        app.close()


@pytest.mark.usefixtures("app")
def test_celerys_own_transport_has_a_breaker_too(redis_url: str) -> None:
    app = make_app(f"{redis_url}?transport=celery")
    breaker = opened(app)
    assert breaker.judge("a:1", [FINE], shard="x") is Verdict.BELIEVE
    assert breaker.state() is None
    app.close()


def test_a_log_is_told_once_when_it_opens_and_once_when_it_closes(app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    watch = BreakerWatch(Breaker(app))
    watch.look()
    breaker = opened(app)
    for _ in range(3):
        watch.look()
    breaker.judge("a:1", [FINE])
    for _ in range(3):
        watch.look()
    opening, closing = (record.getMessage() for record in caplog.records)
    assert opening.startswith(
        "the breaker is open: 10 of the last 10 videos failed with engine_failed on 2 workers; this worker takes nothing"
    )
    assert opening.endswith("but a probe, the next in 15 s")
    assert closing == "the breaker is closed again: work goes on"
