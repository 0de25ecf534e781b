"""What becomes of a message, and who is charged for it."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from builders import HandmadeJob
from celery.worker import state
from fleet_runs import wait_until
from seated import BACK, GONE, Seat, seat, seats_redis
from shard_trial import REFUSED

from broker.breaker import Breaker, Verdict
from broker.breaker_scripts import WINDOW
from broker.progress import faults
from broker.queues import redis_of
from broker.scripts import BREAKER
from broker.trials import Trial
from schemas.control import ControlState
from schemas.reasons import Reason
from schemas.task import Changes, ShardTask
from storage.control import CONTROL_KEY, set_control
from storage.job import Job
from storage.local import LocalStore
from workers.blackbox import PLACES
from workers.tasks import EXIT_ENGINE_DIED

__all__ = ["seat", "seats_redis"]
ILL = "engine_failed"


def at_the_engine(seat: Seat, pool: ThreadPoolExecutor) -> "Future[str]":
    """Work the next shard until the engine has a frame of it."""
    asked = len(seat.room.futures)
    work = pool.submit(seat.work, seat.take())
    wait_until(lambda: len(seat.room.futures) > asked, within_seconds=30)
    return work


def waiting(seat: Seat, pool: ThreadPoolExecutor, shard: ShardTask) -> "Future[str]":
    """Work the next shard, which must not begin beside those that are at the engine."""
    before = seat.attempts(shard)
    work = pool.submit(seat.work, seat.take())
    wait_until(lambda: seat.attempts(shard) > before, within_seconds=30)
    return work


def let_go_of(seat: Seat, shard: ShardTask, *, attempts: int) -> None:
    """Wait until an attempt was taken back; the worker then needs to hold its shard back no longer."""
    wait_until(lambda: seat.attempts(shard) == attempts, within_seconds=30)
    seat.task.drain()


def test_a_suspect_that_ends_the_engine_alone_is_charged_once_and_whoever_waited_for_its_end_is_not(seat: Seat) -> None:
    seat.room.answers[""] = None
    suspect, innocent = seat.send("a"), seat.send("b")
    seat.suspect(suspect)
    with ThreadPoolExecutor() as pool:
        works = [at_the_engine(seat, pool), waiting(seat, pool, innocent)]
        seat.room.die()
        let_go_of(seat, innocent, attempts=0)
        assert [work.result(30) for work in works] == [BACK, BACK]
    assert state.should_stop == EXIT_ENGINE_DIED
    assert seat.room.decoder.asked == [("a", None)]
    assert seat.depth() == 2
    known = seat.trial(suspect)
    assert (known.attempts, known.crashes, known.suspect, known.how, known.place) == (3, 1, True, "engine died", 0)
    assert seat.trial(innocent) == Trial(attempts=1)


def test_of_shards_that_lose_the_engine_together_none_is_charged_nor_a_suspect_that_waited_for_them(seat: Seat) -> None:
    seat.room.answers[""] = None
    together, suspect = [seat.send("a"), seat.send("b")], seat.send("c")
    seat.suspect(suspect)
    with ThreadPoolExecutor() as pool:
        works = [at_the_engine(seat, pool), at_the_engine(seat, pool), waiting(seat, pool, suspect)]
        seat.room.die()
        let_go_of(seat, suspect, attempts=1)
        assert [work.result(30) for work in works] == [BACK] * 3
    assert [name for name, _ in seat.room.decoder.asked] == ["a", "b"]
    assert [(known.crashes, known.suspect) for known in map(seat.trial, together)] == [(0, True), (0, True)]
    known = seat.trial(suspect)
    assert (known.attempts, known.crashes, known.how) == (2, 0, "SIGKILL")


def opened(seat: Seat) -> Breaker:
    """The breaker, open, with a probe that is due."""
    breaker = Breaker(seat.app)
    breaker.judge("a:1", [ILL] * 5, shard="first")
    assert breaker.judge("b:1", [ILL] * 5, shard="second") is Verdict.OPEN
    with redis_of(seat.app) as redis:
        redis.hset(BREAKER, "probe_at", 0)
    return breaker


def test_a_probe_that_is_dropped_gives_its_place_to_the_next(seat: Seat) -> None:
    set_control(seat.handmade.job, ControlState.CANCELLED, by="ann")
    for name in "abc":
        seat.send(name)
    breaker = opened(seat)
    assert [seat.work(seat.take()) for _ in range(3)] == [GONE] * 3
    assert breaker.state() is not None


def test_a_probe_that_is_handed_back_by_a_worker_that_leaves_gives_its_place_to_the_next(seat: Seat) -> None:
    seat.send("a")
    opened(seat)
    seat.task.drain()
    assert seat.work(seat.take()) == BACK
    assert seat.take() is not None


def test_a_probe_that_failed_keeps_its_place(seat: Seat) -> None:
    seat.room.answers[""] = REFUSED
    shard = seat.send("a")
    opened(seat)
    with ThreadPoolExecutor() as pool:
        work = pool.submit(seat.work, seat.take())
        wait_until(lambda: seat.room.futures, within_seconds=30)
        let_go_of(seat, shard, attempts=0)
        assert work.result(30) == BACK
    assert (seat.take(), seat.depth()) == (None, 1)


def test_a_failing_shard_that_waits_for_a_witness_is_handed_back_by_a_worker_that_leaves(seat: Seat) -> None:
    seat.room.answers[""] = REFUSED
    shard = seat.send("a")
    with ThreadPoolExecutor() as pool, redis_of(seat.app) as redis:
        work = pool.submit(seat.work, seat.take())
        wait_until(lambda: redis.exists(WINDOW), within_seconds=30)
        seat.task.drain()
        assert work.result(30) == BACK
    assert not seat.handmade.job.is_committed(shard.shard_id, seat.handmade.spec)
    assert list(seat.handmade.job.letters(shard.shard_id)) == []
    assert (seat.attempts(shard), seat.depth()) == (0, 1)


def test_a_shard_that_fails_alone_is_believed(seat: Seat) -> None:
    seat.room.answers[""] = REFUSED
    shard = seat.send("a")
    assert seat.work(seat.take()) == GONE
    assert {letter.reason for _, letter in seat.handmade.job.letters(shard.shard_id)} == {Reason.ENGINE_REFUSED}


def test_shards_that_fail_side_by_side_while_none_is_fine_go_back_though_they_are_few(seat: Seat) -> None:
    seat.room.answers[""] = REFUSED
    shards = [seat.send(name) for name in "ab"]
    with ThreadPoolExecutor() as pool:
        works = [pool.submit(seat.work, seat.take()) for _ in shards]
        wait_until(lambda: len(faults(seat.app)) == len(shards), within_seconds=30)
        seat.task.drain()  # else they would be held back for a while
        assert [work.result(30) for work in works] == [BACK, BACK]
    assert [list(seat.handmade.job.letters(shard.shard_id)) for shard in shards] == [[], []]
    assert ([seat.attempts(shard) for shard in shards], seat.depth()) == ([1, 1], 2)


def test_a_shard_of_a_job_that_may_have_been_resumed_is_put_back_while_storage_is_away(seat: Seat, tmp_path: Path) -> None:
    seat.handmade = HandmadeJob(job=Job(LocalStore(str(tmp_path / "job"))))
    control = tmp_path / "job" / CONTROL_KEY
    set_control(seat.handmade.job, ControlState.PAUSED, by="ann")
    for name in "abc":
        seat.send(name)
    assert seat.work(seat.take()) == GONE
    control.unlink()
    control.symlink_to(control)  # a link to itself can be neither read nor called missing
    assert seat.work(seat.take()) == BACK
    control.unlink()
    assert seat.depth() == 2
    assert [seat.work(seat.take()) for _ in range(2)] == [GONE, GONE]
    assert len(list(seat.handmade.job.committed())) == 2


def test_a_shard_whose_redrive_gave_it_more_time_is_not_called_stalled_before_that_is_over(seat: Seat) -> None:
    seat.room.answers[""] = None
    seat.send("a", changes=Changes(decode_deadline_seconds=700, frame_deadline_seconds=900))
    with ThreadPoolExecutor() as pool:
        work = at_the_engine(seat, pool)
        held = [hold.patience_seconds for hold in seat.task._around.leases._held]
        seat.room.die()
        work.result(30)
    assert held == [1800.0]


def test_a_message_that_does_not_parse_goes_back_for_a_worker_that_understands_it(seat: Seat) -> None:
    seat.send_nonsense()
    seat.task.drain()  # else it would be held back for a while
    assert seat.work(seat.take()) == BACK
    assert seat.depth() == 1


def test_an_error_where_nothing_fails_acknowledges_nothing(seat: Seat, caplog: pytest.LogCaptureFixture) -> None:
    shard = seat.send("a")
    seat.task.drain()
    with ExitStack() as places:
        for _ in range(PLACES):
            places.enter_context(seat.task._box.place())
        assert seat.work(seat.take()) == BACK
    assert "failed where nothing fails" in caplog.text
    assert (seat.depth(), seat.attempts(shard)) == (1, 0)
