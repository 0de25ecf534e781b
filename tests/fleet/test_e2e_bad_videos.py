"""Bad videos next to good ones: each is dead for the right reason, and harms nobody else."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from clips import FASTSTART, Clip, bad_files, make
from fleet_runs import Ended, audited, dead, expected, framefleet, letters, objects, records, shown

from fleet.audit import audit
from schemas.reasons import Reason
from schemas.record import DeadLetter
from storage.job import open_job

GOOD = {"good.mp4": Clip(frames=30), "good.mkv": Clip(container="matroska", frames=30)}
REASONS = {
    "empty.mp4": Reason.EMPTY_FILE,
    "text.mp4": Reason.NOT_A_VIDEO,
    "playlist.mp4": Reason.NOT_A_VIDEO,
    "truncated_no_index.mp4": Reason.TRUNCATED,
    "audio_only.m4a": Reason.NO_VIDEO_STREAM,
    "cover_art.m4a": Reason.NO_VIDEO_STREAM,
    "encrypted.mp4": Reason.ENCRYPTED,
    "too_long.mkv": Reason.TOO_LONG,
}
"""Files of which nothing can be captioned."""


class Job:
    """A finished job over good and bad files."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        self.source, self.folder = folder / "in", folder / "out"
        self.source.mkdir()
        for name, body in files.items():
            (self.source / name).write_bytes(body)
        self.ended = self.caption()

    def caption(self) -> Ended:
        return framefleet("caption", self.source, "--out", self.folder, "--engine", "scripted", "--every", 0, "--all-files", "--workers", 1)

    def captioned(self, name: str) -> list[tuple[str, int]]:
        return [place for place in shown(records(self.folder)) if place[0].endswith(f"/{name}")]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    files = {name: make(clip) for name, clip in GOOD.items()} | {name: made() for name, made in bad_files().items()}
    return Job(tmp_path_factory.mktemp("bad"), files)


def test_dead_letters_are_no_failure_but_show_in_the_exit_status(job: Job) -> None:
    assert job.ended.status == 3, job.ended.said
    assert "framefleet dead list" in job.ended.out
    assert audited(job.folder).videos == len(GOOD) + len(bad_files())


def test_good_files_are_captioned_next_to_bad_ones(job: Job) -> None:
    paths = [job.source / name for name in GOOD]
    wanted = expected(paths, root=f"file://{job.source}", folder=job.source, min_gap_seconds=0.0)
    assert sorted(place for name in GOOD for place in job.captioned(name)) == wanted


@pytest.mark.parametrize("name", REASONS)
def test_a_bad_file_is_dead_with_its_reason(job: Job, name: str) -> None:
    found = dead(job.folder)
    assert found[name, None] is REASONS[name]
    assert job.captioned(name) == []


def test_a_picture_of_too_many_pixels_is_too_large(job: Job) -> None:
    assert {reason for (name, _), reason in dead(job.folder).items() if name == "too_large.mkv"} == {Reason.TOO_LARGE}


@pytest.mark.parametrize("name", ["truncated_index_in_front.mp4", "truncated.mkv"])
def test_the_frames_before_a_cut_are_captioned_and_the_rest_are_dead(job: Job, name: str) -> None:
    gone = {frame: reason for (video, frame), reason in dead(job.folder).items() if video == name}
    there = [record for record in records(job.folder) if record.video.uri.endswith(f"/{name}")]
    assert there
    assert gone
    assert set(gone.values()) == {Reason.TRUNCATED}
    assert sorted([record.frame_index for record in there] + [frame for frame in gone if frame is not None]) == list(
        range(there[0].frames_chosen)
    )


def test_the_list_of_the_dead_can_be_read_by_programs_and_cut(job: Job) -> None:
    rows = framefleet("dead", "list", job.folder, "--json").json
    assert {row.pop("key"): DeadLetter.model_validate(row) for row in rows} == letters(job.folder)
    lines = framefleet("dead", "list", job.folder, "--reason", "encrypted", "--reason", "empty_file").out.splitlines()
    assert sorted(line.split("\t")[0] for line in lines) == ["empty_file", "encrypted"]
    assert len(framefleet("dead", "list", job.folder, "--limit", 3).out.splitlines()) == 3


def test_letters_name_the_codec_of_videos_that_could_be_opened(job: Job) -> None:
    codecs = {letter.video.uri.rpartition("/")[2]: letter.codec for letter in letters(job.folder).values()}
    assert (codecs["encrypted.mp4"], codecs["truncated.mkv"], codecs["too_large.mkv"], codecs["text.mp4"]) == ("h264", "h264", "mjpeg", "")


def test_a_letter_says_what_to_do_and_how_to_try_again(job: Job) -> None:
    said = framefleet("dead", "show", job.folder, "encrypted.mp4").out
    assert "Supply a clear copy" in said
    [key] = [key for key, one in letters(job.folder).items() if one.video.uri.endswith("/encrypted.mp4")]
    assert f"framefleet dead redrive file://{job.folder} --video file://{job.source}/encrypted.mp4" in said
    assert f"framefleet dead replay file://{job.folder} {Path(key).stem} --local" in said
    ended = framefleet("dead", "show", job.folder, "nobody")
    assert ended.status == 1
    assert "No dead letter" in ended.err


@pytest.mark.parametrize("name", ["text.mp4", "truncated_index_in_front.mp4"])
def test_a_letter_lost_in_a_crash_is_written_by_the_next_run(tmp_path: Path, name: str) -> None:
    job = Job(tmp_path, {"good.mp4": make(Clip(frames=20)), name: bad_files()[name]()})
    before, lines = dead(job.folder), objects(job.folder)
    for key in letters(job.folder):
        (job.folder / key).unlink()
    assert not audit(open_job(str(job.folder))).complete
    assert job.caption().status == 3
    assert dead(job.folder) == before
    assert {name: body for name, body in objects(job.folder).items() if body} == {name: body for name, body in lines.items() if body}
    assert all(letter.shard_id.count(".") == 1 for letter in letters(job.folder).values())
    audited(job.folder)


def test_a_file_that_changes_after_a_crash_does_not_keep_a_run_from_ending(tmp_path: Path) -> None:
    name = "truncated_index_in_front.mp4"
    job = Job(tmp_path, {name: bad_files()[name]()})
    for key in letters(job.folder):
        (job.folder / key).unlink()
    (job.source / name).write_bytes(make(Clip(options=FASTSTART, frames=50)))
    assert job.caption().status == 0
    assert dead(job.folder) == {}  # letters of the version that is gone are void: a later look has planned the one that is there
    assert audited(job.folder).superseded_letters > 0
    again = framefleet("dead", "redrive", job.folder, "--engine", "scripted", "--workers", 1)
    assert (again.status, again.err) == (0, "0 videos to try.\n")
    assert job.captioned(name) != []
    audited(job.folder)
