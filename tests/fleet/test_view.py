import io

import pytest
from rich.console import Console

from fleet.view import Snapshot, View, clock, describe

SNAPSHOT = Snapshot(videos_done=10, videos_planned=40, plan_complete=True, frames=90, dead=2)


def test_a_snapshot_is_one_line() -> None:
    assert describe(SNAPSHOT, elapsed_seconds=60) == "10/40 videos  90 frames  1.5 frames/s  2 dead  ETA 03:00"


def test_a_plan_that_still_grows_has_a_plus() -> None:
    growing = Snapshot(10, 40, plan_complete=False, frames=0, dead=0)
    assert describe(growing, elapsed_seconds=60).startswith("10/40+ videos")


def test_what_earlier_runs_did_is_no_part_of_the_pace() -> None:
    resumed = Snapshot(30, 40, plan_complete=True, frames=90, dead=0, videos_before=20)
    assert describe(resumed, elapsed_seconds=60).endswith("ETA 01:00")


@pytest.mark.parametrize("before", [0, 10])
def test_nobody_knows_the_end_before_the_first_video_is_done(before: int) -> None:
    resumed = Snapshot(before, 40, plan_complete=True, frames=0, dead=0, videos_before=before)
    assert describe(resumed, elapsed_seconds=5).endswith("ETA --:--")


def test_no_time_has_no_rate() -> None:
    assert "0.0 frames/s" in describe(SNAPSHOT, elapsed_seconds=0)


def test_a_note_stands_at_the_end() -> None:
    assert describe(SNAPSHOT, elapsed_seconds=60, note="draining").endswith("ETA 03:00  draining")


def test_a_finished_run_has_no_time_left() -> None:
    assert describe(Snapshot(4, 4, plan_complete=True, frames=9, dead=0), elapsed_seconds=9).endswith("ETA 00:00")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "00:00"), (59.9, "00:59"), (60, "01:00"), (3599, "59:59"), (3600, "1:00:00"), (360_061, "100:01:01")]
)
def test_a_duration_is_written_as_a_clock_shows_it(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def drawn(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_pipe_gets_a_line_now_and_then_and_not_one_for_every_look() -> None:
    console = Console(file=io.StringIO())
    with View(console) as view:
        for _ in range(10):
            view.show(SNAPSHOT)
        assert drawn(console) == ""
        view.note("draining")
        for _ in range(10):
            view.show(SNAPSHOT)
    assert drawn(console).count("\n") == 1
    assert drawn(console).endswith("draining\n")


def test_what_is_said_stays() -> None:
    console = Console(file=io.StringIO(), width=20)
    with View(console) as view:
        view.say("a long sentence that is wider than the terminal [b]")
    assert drawn(console).startswith("a long sentence that is wider than the terminal")


def test_a_terminal_gets_a_live_line_that_is_taken_away() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with View(console) as view:
        view.show(SNAPSHOT)
    assert "10/40 videos" in drawn(console)
    assert "\x1b[2K" in drawn(console).rpartition("10/40")[2]
