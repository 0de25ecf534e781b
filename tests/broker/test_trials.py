"""What is known of a shard's attempts: who is charged, who is only suspected, and whose word comes too late."""

import json

import pytest
from builders import HandmadeJob
from celery import Celery

from broker.queues import ShardQueue, redis_of
from broker.trials import Trial, Trials
from schemas.reasons import Stage

JOB = "s3://b/run"
STALE = "a tag of before"


@pytest.fixture
def trials(app: Celery) -> Trials:
    return Trials(app, JOB)


def begin(trials: Trials, number: int, *, worker: str = "w") -> Trial:
    """Begin under a claim of its own, which is no more when the next one begins."""
    return trials.begin("s", tag=f"tag {number}", worker=worker)


def crash(trials: Trials, number: int, *, alone: bool = True, how: str = "SIGSEGV") -> None:
    begin(trials, number)
    trials.mark("s", tag=f"tag {number}", place=number, stage=Stage.DECODE)
    assert trials.crashed("s", tag=f"tag {number}", how=how, alone=alone)


def vanish(trials: Trials, number: int, *, worker: str, place: int | None = 3) -> Trial:
    """Let a claim run out at a video; returns what the next is told of it."""
    begin(trials, number, worker=worker)
    if place is not None:
        trials.mark("s", tag=f"tag {number}", place=place, stage=Stage.CAPTION)
    trial = trials.begin("s", tag="next", worker="next")
    trials.put_back("s", tag="next")
    return trial


def kept(app: Celery) -> dict[str, object]:
    """What Redis has of all shards."""
    with redis_of(app) as redis:
        return {shard.decode(): json.loads(state) for key in redis.keys("*:trials") for shard, state in redis.hgetall(key).items()}


def test_a_first_attempt_is_counted_and_nothing_is_held_against_the_shard(trials: Trials) -> None:
    assert begin(trials, 1) == Trial(attempts=1)
    assert trials.attempts() == {"s": 1}


def test_every_attempt_counts_that_was_put_back(trials: Trials) -> None:
    for number in (1, 2, 3):
        assert begin(trials, number) == Trial(attempts=number)
        assert trials.put_back("s", tag=f"tag {number}")
    assert trials.attempts() == {"s": 3}


def test_an_attempt_that_is_taken_back_leaves_nothing(app: Celery, trials: Trials) -> None:
    begin(trials, 1)
    assert trials.refund("s", tag="tag 1")
    assert kept(app) == trials.attempts() == {}
    assert begin(trials, 2) == Trial(attempts=1)


def test_an_attempt_that_is_taken_back_takes_no_crash_and_no_other_attempt_back(trials: Trials) -> None:
    crash(trials, 1)
    assert begin(trials, 2).attempts == 2
    trials.refund("s", tag="tag 2")
    assert begin(trials, 3) == Trial(attempts=2, crashes=1, suspect=True, how="SIGSEGV", place=1, stage=Stage.DECODE)


def test_a_shard_that_is_settled_is_forgotten(app: Celery, trials: Trials) -> None:
    crash(trials, 1)
    begin(trials, 2)
    trials.settled("s")
    assert kept(app) == {}
    assert begin(trials, 3) == Trial(attempts=1)


def test_a_begin_whose_answer_was_lost_may_be_asked_again(trials: Trials) -> None:
    assert begin(trials, 1) == begin(trials, 1) == Trial(attempts=1)


def test_celerys_own_transport_whose_redeliveries_keep_their_tag_is_counted_too(trials: Trials) -> None:
    begin(trials, 1, worker="a")
    assert begin(trials, 1, worker="b") == Trial(attempts=2, expiries=1, how="1 claim ran out")


def test_one_crash_alone_charges_the_shard_and_makes_it_a_suspect(trials: Trials) -> None:
    crash(trials, 1)
    assert begin(trials, 2) == Trial(attempts=2, crashes=1, suspect=True, how="SIGSEGV", place=1, stage=Stage.DECODE)


def test_a_crash_among_others_charges_nobody_but_makes_a_suspect(trials: Trials) -> None:
    crash(trials, 1, alone=False)
    assert begin(trials, 2) == Trial(attempts=2, crashes=0, suspect=True, how="SIGSEGV", place=1, stage=Stage.DECODE)


def test_no_number_of_crashes_among_others_makes_guilty(trials: Trials) -> None:
    for number in range(6):
        crash(trials, number, alone=False)
    assert not begin(trials, 9).guilty


def test_the_third_crash_alone_makes_guilty_and_the_last_one_is_told(trials: Trials) -> None:
    for number, how in enumerate(("SIGKILL", "engine died", "SIGSEGV ü")):
        assert not begin(trials, 10 + number).guilty
        trials.put_back("s", tag=f"tag {10 + number}")
        crash(trials, number, how=how)
    trial = begin(trials, 99)
    assert (trial.guilty, trial.crashes, trial.how, trial.place, trial.stage) == (True, 3, "SIGSEGV ü", 2, Stage.DECODE)


def test_a_crash_is_where_its_witness_saw_it_rather_than_where_it_was_marked(trials: Trials) -> None:
    begin(trials, 1)
    trials.mark("s", tag="tag 1", place=1, stage=Stage.FETCH)
    trials.crashed("s", tag="tag 1", how="SIGBUS", alone=True, place=0, stage=Stage.PROBE)
    trial = begin(trials, 2)
    assert (trial.place, trial.stage) == (0, Stage.PROBE)


def test_a_crash_before_anything_was_marked_has_no_place(trials: Trials) -> None:
    begin(trials, 1)
    trials.crashed("s", tag="tag 1", how="SIGKILL", alone=True)
    trial = begin(trials, 2)
    assert (trial.crashes, trial.place, trial.stage) == (1, None, None)


def test_one_claim_that_ran_out_makes_no_suspect_and_the_second_does(trials: Trials) -> None:
    begin(trials, 1)
    assert begin(trials, 2) == Trial(attempts=2, expiries=1, how="1 claim ran out")
    assert begin(trials, 3) == Trial(attempts=3, expiries=2, suspect=True, how="2 claims ran out")


def test_a_claim_that_ran_out_after_a_crash_leaves_the_crashs_words(trials: Trials) -> None:
    crash(trials, 1)
    begin(trials, 2)
    trial = begin(trials, 3)
    assert (trial.expiries, trial.how, trial.place) == (1, "SIGSEGV", 1)


def test_five_workers_that_vanish_at_the_same_video_make_guilty(trials: Trials) -> None:
    verdicts = [vanish(trials, number, worker=f"w{number}") for number in range(5)]
    assert [trial.guilty for trial in verdicts] == [False, False, False, False, True]
    assert verdicts[-1] == Trial(attempts=10, expiries=5, suspect=True, guilty=True, how="5 claims ran out", place=3, stage=Stage.CAPTION)


def test_the_guilty_stay_so_for_what_they_did(trials: Trials) -> None:
    for number in range(5):
        vanish(trials, number, worker=f"w{number}")
    trial = vanish(trials, 6, worker="w6", place=None)
    assert (trial.expiries, trial.guilty, trial.how, trial.place) == (6, True, "5 claims ran out", 3)
    crash(trials, 7, how="SIGBUS")
    trial = begin(trials, 8)
    assert (trial.crashes, trial.guilty, trial.how) == (1, True, "SIGBUS")


def test_claims_that_ran_out_elsewhere_condemn_nobody(trials: Trials) -> None:
    for number in range(10):
        trial = vanish(trials, number, worker=f"w{number}", place=number % 3)
    assert (trial.expiries, trial.guilty) == (10, False)


def test_claims_of_one_worker_that_ran_out_condemn_nobody(trials: Trials) -> None:
    for number in range(10):
        trial = vanish(trials, number, worker="w")
    assert (trial.expiries, trial.guilty) == (10, False)


def test_claims_that_ran_out_before_any_video_condemn_nobody(trials: Trials) -> None:
    for number in range(10):
        trial = vanish(trials, number, worker=f"w{number}", place=None)
    assert (trial.expiries, trial.guilty, trial.place, trial.stage) == (10, False, None, None)


def test_the_last_mark_is_the_one_that_counts(trials: Trials) -> None:
    begin(trials, 1)
    for place, stage in ((0, Stage.FETCH), (0, Stage.CAPTION), (1, Stage.DECODE)):
        assert trials.mark("s", tag="tag 1", place=place, stage=stage)
    trial = begin(trials, 2)
    assert (trial.place, trial.stage) == (1, Stage.DECODE)


def test_a_word_under_another_tag_changes_nothing(app: Celery, trials: Trials) -> None:
    begin(trials, 1)
    before = kept(app)
    assert not trials.mark("s", tag=STALE, place=7, stage=Stage.COMMIT)
    assert not trials.refund("s", tag=STALE)
    assert not trials.put_back("s", tag=STALE)
    assert not trials.crashed("s", tag=STALE, how="SIGSEGV", alone=True)
    assert kept(app) == before


def test_a_worker_that_vanished_has_no_word_in_its_successors_attempt(app: Celery, trials: Trials) -> None:
    begin(trials, 1)
    begin(trials, 2)
    before = kept(app)
    assert not trials.crashed("s", tag="tag 1", how="SIGKILL", alone=True)
    assert not trials.refund("s", tag="tag 1")
    assert kept(app) == before


def test_an_attempt_ends_once(trials: Trials) -> None:
    crash(trials, 1)
    assert not trials.crashed("s", tag="tag 1", how="SIGKILL", alone=True)
    assert not trials.refund("s", tag="tag 1")
    assert begin(trials, 2) == Trial(attempts=2, crashes=1, suspect=True, how="SIGSEGV", place=1, stage=Stage.DECODE)


def test_a_word_of_a_shard_that_nobody_began_changes_nothing(app: Celery, trials: Trials) -> None:
    assert not trials.refund("s", tag="tag 1")
    assert not trials.mark("s", tag="tag 1", place=1, stage=Stage.DECODE)
    trials.settled("s")
    assert kept(app) == {}


def test_who_begins_late_takes_no_attempt_from_a_claim_that_lives(app: Celery, trials: Trials, claim) -> None:
    ShardQueue(app).send(HandmadeJob().shard("a.mp4"))
    with claim() as message:
        trials.begin("s", tag=message.delivery_tag, worker="successor")
        assert trials.begin("s", tag=STALE, worker="zombie") == Trial(attempts=1)
        assert not trials.crashed("s", tag=STALE, how="SIGKILL", alone=True)
        assert trials.mark("s", tag=message.delivery_tag, place=0, stage=Stage.FETCH)
        message.ack()
    assert begin(trials, 2) == Trial(attempts=2, expiries=1, how="1 claim ran out", place=0, stage=Stage.FETCH)
