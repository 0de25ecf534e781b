"""The durable record: a line per captioned frame, a letter per dead one."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, ValidatorFunctionWrapHandler, field_validator

from schemas.annotation import FrameAnnotation
from schemas.model import SCHEMA_VERSION, Model
from schemas.reasons import Reason, Stage
from schemas.task import ShardId
from schemas.video import VideoRef


class Usage(Model):
    """What the engine spent on a frame, all rungs of the repair ladder together; None where the engine does not say."""

    prompt_tokens: int | None
    image_tokens: int | None
    output_tokens: int | None
    finish_reason: str
    rung: str
    """The rung of the repair ladder whose answer was accepted."""


class SecondsSpent(Model):
    """Wall time a frame took, by stage."""

    decode: float
    caption: float


class Fetched(Model):
    """What reading a video's object took, all its frames together. Its size stands with the video."""

    bytes_read: Annotated[int, Field(ge=0)] = 0
    requests: Annotated[int, Field(ge=0)] = 0
    """GETs."""


class FrameRecord(Model):
    """One line of JSONL: one keyframe, captioned."""

    schema_version: Literal[1] = SCHEMA_VERSION
    job: str
    shard_id: ShardId
    frame_id: str
    video: VideoRef
    stream_index: Annotated[int, Field(ge=0)]
    pts: int
    """Presentation time stamp in the stream's time base."""
    pts_seconds: float
    duration_seconds: float | None
    """How long the source frame is shown; None where the container does not say."""
    width: Annotated[int, Field(gt=0)]
    """Width of the decoded source frame in pixels, before rotation and scaling."""
    height: Annotated[int, Field(gt=0)]
    frame_index: Annotated[int, Field(ge=0)]
    """Place of this frame among the video's chosen keyframes."""
    frames_chosen: Annotated[int, Field(ge=1)]
    own_schema: bool = False
    """Whether the recipe brought its own JSON Schema, so that `annotation` is an object of that and not the nine fields."""
    annotation: FrameAnnotation | dict[str, Any]
    copied_from: str | None = None
    """The `frame_id` of the line whose annotation this near duplicate has, and on which alone tokens were spent; None if it has its own."""
    recipe_id: str
    usage: Usage
    attempts: Annotated[int, Field(ge=1)]
    """How often the shard had been taken up when this line was made."""
    seconds: SecondsSpent
    fetched: Fetched = Fetched()
    versions: dict[str, str]
    """Provenance: versions of the code and libraries that made the line."""

    @field_validator("annotation", mode="wrap")
    @classmethod
    def _annotation_is_of_its_kind(cls, value: Any, _either: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        """Decide by what the line says it is: nine fields that do not fit must not pass as somebody's own object."""
        if not info.data.get("own_schema"):
            return FrameAnnotation.model_validate(value)
        if not isinstance(value, dict):
            raise ValueError("an annotation of an own schema is an object")  # noqa: TRY004 - told with the other values that do not fit
        return value


class Scope(StrEnum):
    """What is dead: a whole video, or one of its frames."""

    VIDEO = "video"
    FRAME = "frame"


class Attempt(Model):
    """One try that failed."""

    number: int
    worker: str
    at: datetime
    signal: str = ""
    """Name of the signal that ended the decoder, if one did."""


class DeadLetter(Model):
    """Why a video, or one frame of it, could not be captioned, and how to try again."""

    schema_version: Literal[1] = SCHEMA_VERSION
    job: str
    shard_id: ShardId
    place: Annotated[int, Field(ge=0)]
    """Place of the video in its shard."""
    scope: Scope
    video: VideoRef
    frame_index: int | None = None
    frames_chosen: int | None = None
    pts_seconds: float | None = None
    reason: Reason
    stage: Stage
    message: str
    attempts: tuple[Attempt, ...]
    fetched: Fetched = Fetched()
    codec: str = ""
    """FFmpeg's name of the video's codec (`h264`); empty where it is not known."""
    ffmpeg_log_tail: str = ""
    raw_answer: str = ""
    recipe_id: str
    model: str
    versions: dict[str, str]
    earlier: tuple[str, ...] = ()
    """Keys of the letters that earlier tries left."""
    replay: str
    """The command that shows the failure again, and changes nothing."""
