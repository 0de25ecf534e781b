import pytest
from vital_signs import vitals
from watched_fleet import PRICES, Fleet

from broker.progress import Tally
from fleet.spent import Share, Spent
from schemas.estimate import GIGABYTE

# Arithmetic


def test_what_is_used_is_priced_by_part():
    used = Spent(worker_seconds=10, gets=1e6, puts=1e6, bytes_read=10 * GIGABYTE)
    prices = PRICES.model_copy(update={"gigabyte_read": 0.02})

    assert used.dollars(prices) == pytest.approx(10 + 0.4 + 5 + 0.2)
    assert Spent().dollars(prices) == 0


def test_counters_that_begin_anew_are_counted_on():
    used = Spent().counted(Tally(frames=100, requests=7, shards=2, dead=1, bytes_read=5))
    used = used.counted(Tally(frames=130, requests=9, shards=2, dead=2, bytes_read=5))
    used = used.counted(Tally(frames=40, requests=1))

    assert (used.frames, used.gets, used.puts, used.bytes_read) == (170, 10, 4, 5)


def test_what_was_noted_is_gone_on_with():
    used = Spent(worker_seconds=5, frames=7, seen_frames=3)

    assert Spent.of(used.noted()) == used
    assert Spent.of({"worker_seconds": 5.0, "of another version": 1.0}) == Spent(worker_seconds=5)


def test_a_job_has_all_of_the_workers_until_another_has_frames():
    assert Share().part == 1
    assert Share().after(5, of_job=0, of_all=0).part == 1
    assert Share().after(5, of_job=10, of_all=40).part == 0.25
    assert Share().after(5, of_job=11, of_all=10).part == 1, "the two are not counted at the same moment"


def test_old_frames_count_less_and_less():
    share = Share().after(1, of_job=60, of_all=60).after(60, of_job=0, of_all=30)

    assert share.part == pytest.approx(0.5)


# The meter


def test_workers_cost_while_they_are_there_at_work_or_idle():
    fleet = Fleet()
    fleet.work(0, frames={"a": 0, "b": 0}, of_job=0)
    meter = fleet.meter()
    meter.look()
    fleet.work(10, frames={"a": 20, "b": 20}, of_job=40)
    assert meter.look().worker_seconds == pytest.approx(20)

    fleet.work(10, frames={"a": 0, "b": 0}, of_job=0)
    assert meter.look().worker_seconds == pytest.approx(40)
    assert meter.workers == 2


def test_jobs_share_what_workers_cost_by_their_frames():
    fleet = Fleet()
    fleet.work(0, frames={"a": 0}, of_job=0)
    meter = fleet.meter()
    meter.look()
    fleet.work(10, frames={"a": 40}, of_job=10)

    assert meter.look().worker_seconds == pytest.approx(2.5)


def test_a_worker_that_began_anew_does_not_take_frames_back():
    fleet = Fleet()
    fleet.work(0, frames={"a": 1000}, of_job=0)
    meter = fleet.meter()
    meter.look()
    fleet.seconds, fleet.workers, fleet.tally = 10, [vitals("a", frames=10)], Tally(frames=10)

    assert meter.look().worker_seconds == pytest.approx(10)


def test_frames_that_nobody_watched_cost_what_the_others_did():
    fleet = Fleet(tally=Tally(frames=150))

    used = fleet.meter(worker_seconds=200, frames=100, seen_frames=100).look()

    assert used.worker_seconds == pytest.approx(300)
    assert used.frames == 150


def test_where_nobody_ever_watched_workers_tell_what_a_frame_cost():
    fleet = Fleet(tally=Tally(frames=150), workers=[vitals("a", frames=20, seconds_at_work=10.0)])

    assert fleet.meter().look().worker_seconds == pytest.approx(75)
