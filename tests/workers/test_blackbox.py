"""What a worker was at when it died."""

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from schemas.errors import FleetError
from schemas.reasons import Stage
from workers.blackbox import PLACE_BYTES, BlackBox, Step, steps_in

SHARD = "a" * 32
STEP = Step(job="s3://b/run", shard_id=SHARD, tag="claim:1:2.3")


def test_what_is_under_way_can_be_read_until_it_is_over(tmp_path: Path) -> None:
    path = tmp_path / "box"
    box = BlackBox(path)
    with box.place() as one, box.place() as other:
        one.write(STEP)
        other.write(STEP.model_copy(update={"stage": Stage.DECODE, "place": 3}))
        assert {(step.stage, step.place) for step in steps_in(path)} == {(None, None), (Stage.DECODE, 3)}
        one.write(STEP.model_copy(update={"stage": Stage.FETCH, "place": 0}))
        assert {step.stage for step in box.steps()} == {Stage.FETCH, Stage.DECODE}
    assert steps_in(path) == box.steps() == []


def test_a_sigkill_takes_nothing_back(tmp_path: Path) -> None:
    path = tmp_path / "box"
    code = f"""
import os, signal
from pathlib import Path
from workers.blackbox import BlackBox, Step
with BlackBox(Path({str(path)!r})).place() as place:
    place.write(Step(job="s3://b/run", shard_id="{SHARD}", tag="t", stage="caption", place=1))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2], timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert steps_in(path) == [Step(job="s3://b/run", shard_id=SHARD, tag="t", stage=Stage.CAPTION, place=1)]


def test_a_step_that_was_cut_is_left_out_and_a_box_that_is_not_there_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "box"
    assert steps_in(path) == []
    path.write_bytes(
        STEP.model_dump_json().encode()[:-4].ljust(PLACE_BYTES, b"\0") + STEP.model_dump_json().encode().ljust(PLACE_BYTES, b"\0")
    )
    assert steps_in(path) == [STEP]


def test_a_step_too_long_for_its_place_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "box"
    with BlackBox(path).place() as place:
        place.write(STEP)
        place.write(STEP.model_copy(update={"job": "s3://b/" + "x" * PLACE_BYTES}))
        assert steps_in(path) == [STEP]


def test_a_box_without_a_file_keeps_to_itself() -> None:
    box = BlackBox(None)
    with box.place() as place:
        place.write(STEP)
        assert box.steps() == [STEP]


def test_a_box_that_cannot_be_written_says_which_variable_names_it(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="FRAMEFLEET_BLACK_BOX"):
        BlackBox(tmp_path / "missing" / "box")


def test_a_box_that_can_be_opened_but_has_no_room_is_let_go_of(tmp_path: Path) -> None:
    full = tmp_path / "box"
    full.symlink_to("/dev/full")
    with pytest.raises(FleetError, match="FRAMEFLEET_BLACK_BOX"):
        BlackBox(full)
    assert "/dev/full" not in open_files()


def open_files() -> set[str]:
    """What this process has open; of what others close meanwhile nothing is said."""
    names = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            names.add(str(link.readlink()))
    return names
