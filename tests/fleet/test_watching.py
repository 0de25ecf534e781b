import pytest
import typer
from builders import HandmadeJob
from typer.testing import CliRunner
from watched_fleet import Fleet

from fleet.budget import Watch
from fleet.guards import Planned
from fleet.watching import Watched, planned_of, remembered, spent_of, watches
from schemas.control import ControlState
from schemas.errors import OperatorError
from storage.tenure import holding

# The deadline


def run(fleet: Fleet, watch: Watch, seconds: int, *, videos_per_second: float, workers: int = 2) -> None:
    for _ in range(0, seconds, 10):
        videos = round(10 * videos_per_second)
        fleet.work(10, frames=dict.fromkeys("abcdefgh"[:workers], 1), of_job=workers, videos=videos)
        watch.look()


def test_a_deadline_that_will_be_missed_is_warned_of_and_nothing_stops():
    fleet = Fleet()
    watch = fleet.watch(fleet.deadline(1000, lambda: Planned(10_000, complete=True)))
    watch.look()
    run(fleet, watch, 60, videos_per_second=2)

    assert fleet.said == [
        (
            "The deadline 2026-11-21 12:16 UTC will be missed: at this pace 9,940 videos take another 1 h 23 min; "
            "9 more workers (now 2) would make it. Nothing is stopped for that."
        )
    ]
    assert fleet.state is ControlState.RUNNING


def test_a_warning_is_given_again_after_a_while_and_taken_back():
    fleet = Fleet()
    watch = fleet.watch(fleet.deadline(10_000, lambda: Planned(30_000, complete=True)))
    watch.look()
    run(fleet, watch, 700, videos_per_second=1)
    assert [words.partition(" missed:")[0] for words in fleet.said] == ["The deadline 2026-11-21 14:46 UTC will be"] * 2

    run(fleet, watch, 900, videos_per_second=5, workers=4)
    assert "will be met again" in fleet.said[-1]


def test_a_job_in_time_hears_nothing():
    fleet = Fleet()
    watch = fleet.watch(fleet.deadline(1000, lambda: Planned(1000, complete=True)))
    watch.look()
    run(fleet, watch, 300, videos_per_second=2)

    assert fleet.said == []


@pytest.mark.parametrize(("stops", "state"), [(True, ControlState.PAUSED), (False, ControlState.RUNNING)])
def test_the_deadline_itself_stops_the_job_only_if_asked(stops, state):
    fleet = Fleet()
    watch = fleet.watch(fleet.deadline(20, lambda: Planned(1000, complete=True), stops=stops))
    watch.look()
    run(fleet, watch, 60, videos_per_second=2)

    assert fleet.state is state
    assert len(fleet.said) == 1
    assert "videos are left" in fleet.said[0]


def test_a_job_that_is_done_by_its_deadline_is_left_alone():
    fleet = Fleet()
    watch = fleet.watch(fleet.deadline(20, lambda: Planned(40, complete=True), stops=True))
    watch.look()
    run(fleet, watch, 60, videos_per_second=2)

    assert (fleet.state, fleet.said) == (ControlState.RUNNING, [])


# The options


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(OperatorError, match="--price"):
        Watched.of(budget=5, price=None, deadline=None, stop_at_deadline=False)
    with pytest.raises(OperatorError, match="--deadline"):
        Watched.of(budget=None, price=None, deadline=None, stop_at_deadline=True)
    assert Watched.of(budget=None, price=2.0, deadline=None, stop_at_deadline=False) == Watched(price=2.0)


def test_a_command_takes_the_options_of_a_watch_together():
    took: list[tuple[int, Watched]] = []

    @watches
    def feed(shards: int, watched: Watched) -> None:
        took.append((shards, watched))

    app = typer.Typer()
    app.command()(feed)
    CliRunner().invoke(app, ["7", "--budget", "5", "--price", "2"], catch_exceptions=False)
    CliRunner().invoke(app, ["7"], env={"FRAMEFLEET_GPU_DOLLARS_PER_HOUR": None}, catch_exceptions=False)

    assert took == [(7, Watched(budget=5, price=2)), (7, Watched())]


def test_the_plan_is_told_by_its_last_heads():
    made = HandmadeJob()
    assert planned_of(made.job) == Planned(0, complete=False)

    made.shard("a.mp4", "b.mp4")
    made.shard("c.mp4")
    assert planned_of(made.job) == Planned(3, complete=False)

    made.complete()
    assert planned_of(made.job) == Planned(3, complete=True)


def test_the_plan_is_asked_for_once_a_minute():
    now, asked = [0.0], list[float]()

    def ask() -> Planned:
        asked.append(now[0])
        return Planned(len(asked), complete=False)

    answer = remembered(ask, clock=lambda: now[0])
    for now[0] in (0.0, 59.0, 60.0, 61.0):
        answer()

    assert asked == [0.0, 60.0]


def test_what_was_noted_is_found_again():
    made = HandmadeJob()
    assert spent_of(made.job) == {}

    with holding(made.job, say=print, stopped=lambda: False) as hold:
        assert hold is not None
        hold.note(spent={"worker_seconds": 5.0})

    assert spent_of(made.job) == {"worker_seconds": 5.0}
