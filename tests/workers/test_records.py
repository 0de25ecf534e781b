import shlex
from dataclasses import replace

import pytest
from builders import ANNOTATION, ATTEMPT, USAGE, HandmadeJob

from schemas.errors import PermanentError
from schemas.reasons import ADVICE, Reason, Stage
from schemas.record import Fetched, FrameRecord, Scope
from schemas.video import frame_id
from workers.keyframe import Keyframe, Picture
from workers.ladder import Caption
from workers.records import MESSAGE_CHARS, Death, Draft, letter_of

VERSIONS = {"framefleet": "9"}
READ = Fetched(bytes_read=1234, requests=5)
ERROR = PermanentError(Reason.DECODER_CRASHED, Stage.DECODE, "It died.", log_tail="moov", raw_answer="{", signal="SIGSEGV")
FRAME = Keyframe(
    frame_index=2,
    frames_chosen=5,
    stream_index=1,
    pts=9000,
    pts_seconds=0.1,
    duration_seconds=0.04,
    source_width=640,
    source_height=360,
    picture=Picture(b"\0\0\0", 1, 1),
    decode_seconds=0.123456,
)


@pytest.fixture
def task():
    return HandmadeJob().shard("a b;rm.mp4").model_copy(update={"earlier_letters": ("dead/x.json",)})


def died(task, error: PermanentError = ERROR, **fields):
    spec = HandmadeJob().spec
    return letter_of(Death(0, task.videos[0], error, **fields), task=task, spec=spec, versions=VERSIONS, attempt=ATTEMPT, fetched=READ)


def test_a_line_says_all_that_is_known_of_its_frame(task) -> None:
    draft = Draft.of(FRAME, video=task.videos[0], task=task, attempt=ATTEMPT, versions=VERSIONS)
    record = draft.complete(Caption(ANNOTATION, USAGE, 0.98765), fetched=READ)
    assert record.frame_id == frame_id(task.videos[0], stream_index=1, pts=9000)
    assert (record.frame_index, record.frames_chosen, record.pts_seconds, record.duration_seconds) == (2, 5, 0.1, 0.04)
    assert (record.width, record.height, record.stream_index) == (640, 360, 1)
    assert (record.job, record.shard_id, record.recipe_id, record.attempts) == (task.job, task.shard_id, task.recipe_id, 1)
    assert (record.annotation, record.usage, record.versions, record.fetched) == (ANNOTATION, USAGE, VERSIONS, READ)
    assert (record.seconds.decode, record.seconds.caption) == (0.1235, 0.9877)


def test_a_line_of_an_own_schema_carries_the_object_and_says_so(task) -> None:
    draft = Draft.of(FRAME, video=task.videos[0], task=task, attempt=ATTEMPT, versions=VERSIONS)
    own = draft.complete(Caption({"mood": "calm"}, USAGE, 0.1), fetched=READ)
    assert (own.annotation, own.own_schema) == ({"mood": "calm"}, True)
    assert FrameRecord.model_validate_json(own.model_dump_json()) == own
    assert not draft.complete(Caption(ANNOTATION, USAGE, 0.1), fetched=READ).own_schema


def test_a_line_that_waits_for_its_caption_holds_no_picture(task) -> None:
    draft = Draft.of(FRAME, video=task.videos[0], task=task, attempt=ATTEMPT, versions=VERSIONS)
    assert FRAME.picture not in draft.facts.values()


def test_a_copy_says_where_its_caption_comes_from_and_that_nothing_was_spent(task) -> None:
    draft = Draft.of(FRAME, video=task.videos[0], task=task, attempt=ATTEMPT, versions=VERSIONS)
    later = Draft.of(replace(FRAME, frame_index=3, pts=9900), video=task.videos[0], task=task, attempt=ATTEMPT, versions=VERSIONS)
    source, copy = (one.complete(Caption(ANNOTATION, USAGE, 0.98765), fetched=READ) for one in (draft, later.copying(draft)))
    assert (source.copied_from, copy.copied_from) == (None, source.frame_id)
    assert (copy.frame_id, copy.frame_index) == (frame_id(task.videos[0], stream_index=1, pts=9900), 3)
    assert (copy.annotation, copy.seconds.decode, copy.seconds.caption) == (ANNOTATION, 0.1235, 0)
    assert (copy.usage.prompt_tokens, copy.usage.image_tokens, copy.usage.output_tokens) == (0, 0, 0)
    assert FrameRecord.model_validate_json(copy.model_dump_json()) == copy


def test_a_line_from_before_there_were_copies_and_counted_reads_is_read(task) -> None:
    draft = Draft.of(FRAME, video=task.videos[0], task=task, attempt=ATTEMPT, versions=VERSIONS)
    line = draft.complete(Caption(ANNOTATION, USAGE, 0.1), fetched=Fetched())
    assert FrameRecord.model_validate_json(line.model_dump_json(exclude={"copied_from", "fetched"})) == line


def test_a_copy_dies_of_what_its_source_dies_of(task) -> None:
    draft = Draft.of(FRAME, video=task.videos[0], task=task, attempt=ATTEMPT, versions=VERSIONS)
    assert draft.fault(ERROR) is ERROR
    fault = draft.copying(draft).fault(ERROR)
    assert (fault.reason, fault.stage) == (ERROR.reason, ERROR.stage)
    assert str(fault) == f"It nearly equals frame {draft.frame_id}, which failed: It died."
    assert (fault.log_tail, fault.raw_answer) == ("", "")


def test_a_frames_letter_names_the_codec_of_its_keyframe(task) -> None:
    draft = Draft.of(replace(FRAME, codec="h264"), video=task.videos[0], task=task, attempt=ATTEMPT, versions=VERSIONS)
    refused = PermanentError(Reason.ENGINE_REFUSED, Stage.CAPTION, "no")
    assert died(task, draft.fault(refused)).codec == "h264"
    assert died(task, draft.copying(draft).fault(refused)).codec == "h264"


def test_a_videos_letter_names_the_codec_that_its_error_does(task) -> None:
    assert died(task, PermanentError(Reason.TOO_LARGE, Stage.PROBE, "big", codec="av1")).codec == "av1"
    assert died(task).codec == ""


def test_a_letter_says_why_and_what_to_do(task) -> None:
    found = died(task)
    assert (found.reason, found.stage, found.scope) == (Reason.DECODER_CRASHED, Stage.DECODE, Scope.VIDEO)
    assert found.message == f"It died. {ADVICE[Reason.DECODER_CRASHED]}"
    assert (found.ffmpeg_log_tail, found.raw_answer, found.attempts[0].signal) == ("moov", "{", "SIGSEGV")
    assert (found.model, found.versions, found.earlier) == ("tiny@1", VERSIONS, ("dead/x.json",))


def test_a_letter_about_a_frame_says_which(task) -> None:
    found = died(task, frame_index=0, frames_chosen=5, pts_seconds=0.0)
    assert (found.scope, found.frame_index, found.frames_chosen, found.pts_seconds) == (Scope.FRAME, 0, 5, 0.0)


def test_a_letters_command_survives_a_shell(task) -> None:
    command = shlex.split(died(task).replay)
    assert command == ["framefleet", "dead", "replay", task.job, f"{task.shard_id}-0", "--local"]
    assert shlex.split(died(task, frame_index=3).replay)[4] == f"{task.shard_id}-0.3"


def test_a_long_message_is_cut(task) -> None:
    assert len(died(task, PermanentError(Reason.CORRUPT, Stage.DECODE, "x" * 5000)).message) == MESSAGE_CHARS


def test_a_long_message_keeps_its_advice(task) -> None:
    assert ADVICE[Reason.CORRUPT] in died(task, PermanentError(Reason.CORRUPT, Stage.DECODE, "x" * 5000)).message
