"""The main job on one machine, from a folder to a folder."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from clips import FASTSTART, FRAGMENTED, Clip, make
from fleet_runs import Ended, audited, everything, expected, framefleet, objects, records, shown

CLIPS = {
    "a.mp4": Clip(frames=60),
    "b.mkv": Clip(container="matroska", frames=80, audio=True),
    "many.mp4": Clip(frames=70, gop=1, seconds_between_frames=2, width=64, height=48),  # type: ignore[arg-type]
    "sub folder/ünï#1? 100%.webm": Clip(container="webm", codec="libvpx-vp9", frames=50),
    "sub folder/fragments.MOV": Clip(options=FRAGMENTED, rotation=90),
    "sub folder/stream.ts": Clip(container="mpegts", frames=50, options={}),
    "z.mp4": Clip(options=FASTSTART, gop=40),
}


@dataclass(frozen=True)
class Done:
    """A finished job."""

    source: Path
    job: Path
    ended: Ended

    def again(self, *options: object) -> Ended:
        return framefleet("caption", self.source, "--out", self.job, "--engine", "scripted", *options)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("caption")
    source, job = folder / "in", folder / "out"
    for name, clip in CLIPS.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(make(clip))
    (source / "notes.txt").write_text("no video")
    return Done(source, job, framefleet("caption", source, "--out", job, "--engine", "scripted"))


def test_the_run_succeeds_and_says_so(done: Done) -> None:
    assert done.ended.status == 0, done.ended.err
    assert "complete and clean" in done.ended.out
    assert f"{len(CLIPS)} videos" in done.ended.out


def test_every_chosen_keyframe_has_exactly_one_line(done: Done) -> None:
    paths = [done.source / name for name in CLIPS]
    assert shown(records(done.job)) == expected(paths, root=f"file://{done.source}", folder=done.source)
    assert sum(record.video.uri.endswith("/many.mp4") for record in records(done.job)) == 64


def test_every_line_says_which_frame_of_how_many_it_is(done: Done) -> None:
    by_video: dict[str, list[tuple[int, int]]] = {}
    for record in records(done.job):
        by_video.setdefault(record.video.uri, []).append((record.frame_index, record.frames_chosen))
    assert all(sorted(places) == [(index, len(places)) for index in range(len(places))] for places in by_video.values())


def test_the_audit_proves_it(done: Done) -> None:
    ended = framefleet("audit", done.job, "--json")
    report = ended.json
    assert ended.status == 0
    assert (report["videos"], report["captioned_videos"], report["frames"]) == (len(CLIPS), len(CLIPS), len(records(done.job)))
    assert (report["dead_videos"], report["dead_frames"], report["superseded_letters"]) == (0, 0, 0)
    assert report == audited(done.job).model_dump(mode="json")


def test_status_counts_what_is_there(done: Done) -> None:
    found = framefleet("status", done.job, "--json").json
    assert found["plan_complete"] is True
    assert (found["videos"], found["committed_videos"], found["committed_shards"]) == (len(CLIPS), len(CLIPS), len(objects(done.job)))
    assert found["skipped"] == {"no video suffix": 1}
    assert found["dead_by_reason"] == {}
    assert "committed: 7 videos (100 %)" in framefleet("status", f"file://{done.job}").out


def test_running_again_changes_no_byte(done: Done) -> None:
    before = everything(done.job)
    assert done.again().status == 0
    assert everything(done.job) == before


def test_another_recipe_into_the_same_output_is_refused(done: Done) -> None:
    before = everything(done.job)
    ended = framefleet("caption", done.source, "--out", done.job, "--engine", "opencv")
    assert ended.status == 1
    assert "recipe is vidcap-12b" in ended.err
    assert "not opencv" in ended.err
    assert everything(done.job) == before


def test_another_source_into_the_same_output_is_refused(done: Done) -> None:
    ended = framefleet("caption", done.source / "sub folder", "--out", done.job, "--engine", "scripted")
    assert ended.status == 1
    assert f"its source is {done.source}, not {done.source}/sub folder" in ended.err


def test_another_selection_into_the_same_output_is_refused(done: Done) -> None:
    ended = done.again("--limit", 2)
    assert ended.status == 1
    assert "limit is 0, not 2" in ended.err


@pytest.mark.parametrize("verb", [("status",), ("dead", "redrive")])
def test_a_prefix_without_a_job_is_named(tmp_path: Path, verb: tuple[str, ...]) -> None:
    ended = framefleet(*verb, tmp_path)
    assert ended.status == 1
    assert f"There is no job at file://{tmp_path}" in ended.err


def test_a_source_that_is_not_there_claims_no_output(tmp_path: Path) -> None:
    ended = framefleet("caption", tmp_path / "missing", "--out", tmp_path / "out")
    assert ended.status == 1
    assert "missing" in ended.err
    assert not (tmp_path / "out").exists()
