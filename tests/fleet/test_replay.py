from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from builders import ANNOTATION, USAGE, HandmadeJob, letter, line, overwrite

from fleet.replay import keep, letter_in_words, record_in_words, replay, task_of
from schemas.errors import OperatorError, PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.recipe import Recipe
from schemas.record import DeadLetter
from schemas.task import Changes, ShardTask
from schemas.video import UNKNOWN_ETAG
from storage import ObjectChanged, split_uri
from storage.memory import MemoryStore
from workers.keyframe import DeadFrame, Keyframe, Picture
from workers.ladder import Caption
from workers.media import ByteSource
from workers.media.costs import ReadCosts

Scene = Keyframe | DeadFrame | Exception
BROKEN = PermanentError(Reason.CORRUPT, Stage.DECODE, "broken")
REFUSED = PermanentError(Reason.ENGINE_REFUSED, Stage.CAPTION, "refused")
REFUSED_PIXELS = b"no!"
CRASHED = PermanentError(
    Reason.DECODER_CRASHED, Stage.DECODE, "The decoder died of SIGSEGV.", log_tail="bad NAL\nbad slice", signal="SIGSEGV", codec="h264"
)


def frame(index: int, of: int, pixels: bytes = b"yes") -> Keyframe:
    return Keyframe(index, of, 0, index * 1000, float(index), None, 640, 360, Picture(pixels, 1, 1), 0.01)


def frames(of: int) -> list[Scene]:
    return [frame(index, of) for index in range(of)]


@dataclass
class FakeRoom:
    """Plays a script for a video whose bytes name it, and answers at once."""

    scripts: dict[str, list[Scene]]
    asked: list[tuple[str, frozenset[int] | None]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    read_costs: ReadCosts = field(default_factory=ReadCosts)

    def keyframes(self, source: ByteSource, _recipe: Recipe, *, only_frames: frozenset[int] | None, **_: object) -> Iterator[Scene]:
        name = source.read(start=0, end=source.size_bytes).decode()
        self.asked.append((name, only_frames))
        for scene in self.scripts[name]:
            if isinstance(scene, Exception):
                raise scene
            if only_frames is None or scene.frame_index in only_frames:
                yield scene

    def turn(self) -> int:
        return 0

    def caption(self, picture: Picture, _recipe: Recipe, **_: object) -> "Future[Caption]":
        future: Future[Caption] = Future()
        if picture.body == REFUSED_PIXELS:
            future.set_exception(REFUSED)
        else:
            future.set_result(Caption(ANNOTATION, USAGE, 0.1))
        return future


class Trial:
    """A job with one shard of two videos, and a room that plays scripts for them."""

    def __init__(self, scripts: dict[str, list[Scene]] | None = None) -> None:
        self.handmade = HandmadeJob()
        self.shard = self.handmade.shard("a", "b")
        self.room = FakeRoom(scripts or {})


def everything(store: MemoryStore) -> dict[str, bytes]:
    return {meta.key: store.get(meta.key) for meta in store.list()}


def replayed(trial: Trial, one: DeadLetter):
    """What a replay finds; it must leave the job as it was."""
    before = everything(trial.handmade.job.store)
    found = replay(task_of(one, Changes()), trial.handmade.spec, trial.room)
    assert everything(trial.handmade.job.store) == before
    return found


def test_a_video_that_is_well_again_is_answered_frame_by_frame_and_the_job_is_left_alone() -> None:
    trial = Trial({"b": frames(3)})
    found = replayed(trial, letter(trial.shard, place=1))
    assert [(record.video.uri, record.frame_index) for record in found.records] == [
        (trial.shard.videos[1].uri, index) for index in range(3)
    ]
    assert found.letters == ()
    assert trial.room.asked == [("b", None)]


def test_a_frames_letter_has_that_frame_tried_alone() -> None:
    trial = Trial({"b": frames(5)})
    found = replayed(trial, letter(trial.shard, 3, 5, place=1))
    assert [record.frame_index for record in found.records] == [3]
    assert trial.room.asked == [("b", frozenset({3}))]


def test_what_fails_again_comes_as_letters_beside_the_records() -> None:
    dead = DeadFrame(0, 3, 0.0, BROKEN)
    trial = Trial({"b": [dead, frame(1, 3, REFUSED_PIXELS), frame(2, 3)]})
    found = replayed(trial, letter(trial.shard, place=1))
    assert [record.frame_index for record in found.records] == [2]
    assert [(one.frame_index, one.reason) for one in found.letters] == [(0, Reason.CORRUPT), (1, Reason.ENGINE_REFUSED)]


def test_a_crash_of_the_decoder_comes_with_its_signal_and_its_log() -> None:
    trial = Trial({"b": [CRASHED]})
    [one] = replayed(trial, letter(trial.shard, place=1)).letters
    assert letter_in_words(one) == [
        "the video: dead, decoder_crashed (decode, h264)",
        f"  {one.message}",
        "  signal: SIGSEGV",
        "  FFmpeg said: bad NAL",
        "  FFmpeg said: bad slice",
    ]


def test_an_object_that_changed_is_tried_whole_as_it_is_now() -> None:
    trial = Trial({"new": frames(2)})
    one = letter(trial.shard, 3, 5, place=1)
    overwrite(trial.handmade.source, split_uri(one.video.uri)[1], b"new")
    found = replayed(trial, one)
    assert [record.frame_index for record in found.records] == [0, 1]
    assert {record.video.etag for record in found.records} != {one.video.etag}


def test_an_object_that_is_gone_is_told_as_such() -> None:
    trial = Trial()
    one = letter(trial.shard, place=1)
    del trial.handmade.source._objects[split_uri(one.video.uri)[1]]
    assert [again.reason for again in replayed(trial, one).letters] == [Reason.OBJECT_GONE]


def test_storage_that_is_busy_is_no_verdict() -> None:
    trial = Trial({"b": [TransientError("busy")]})
    with pytest.raises(TransientError):
        replayed(trial, letter(trial.shard, place=1))


def test_changed_deadlines_go_with_the_task() -> None:
    task = task_of(letter(HandmadeJob().shard("a.mp4")), Changes(decode_deadline_seconds=600))
    assert task.changes.decode_deadline_seconds == 600


def test_a_record_is_read_field_by_field() -> None:
    task = HandmadeJob().shard("a.mp4")
    words = record_in_words(line(task, 2, 5))
    assert words[0] == "frame 2 of 5, at 2.00 s: answered"
    assert f"  description: {ANNOTATION.description}" in words
    assert "  objects: square" in words
    assert record_in_words(line(task, own_schema=True, annotation={"mood": "calm"}))[1:] == ["  mood: calm"]


def test_a_failed_answer_is_shown_as_the_engine_gave_it() -> None:
    one = letter(HandmadeJob().shard("a.mp4"), 1, 3, raw_answer='{"mood":\n"od', reason=Reason.INVALID_ANSWER, stage=Stage.VALIDATE)
    words = letter_in_words(one)
    assert words[0] == "frame 1 of 3: dead, invalid_answer (validate)"
    assert words[-2:] == ['  the engine said: {"mood":', '  the engine said: "od']


@pytest.fixture
def task() -> ShardTask:
    return HandmadeJob().shard("a.mp4")


def test_an_object_is_kept_byte_for_byte(task: ShardTask, tmp_path: Path) -> None:
    keep(task.videos[0], tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == b"a.mp4"


def test_no_file_is_written_over(task: ShardTask, tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"mine")
    with pytest.raises(OperatorError, match="--keep-file"):
        keep(task.videos[0], tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == b"mine"


def test_half_an_object_is_not_kept(task: ShardTask, tmp_path: Path) -> None:
    with pytest.raises(ObjectChanged):
        keep(task.videos[0].model_copy(update={"etag": "another"}), tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_what_cannot_be_looked_at_is_not_kept(task: ShardTask, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be looked at"):
        keep(task.videos[0].model_copy(update={"etag": UNKNOWN_ETAG}), tmp_path / "kept")
