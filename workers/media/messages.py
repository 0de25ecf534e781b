"""What a child may say, parsed once and bounded in every field: beyond the first video packet a child is a stranger."""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, field_validator

from schemas.model import Model
from schemas.reasons import Reason
from workers.media.wire import MOST_PLANNED, printable

Index = Annotated[int, Field(ge=0, lt=2**31)]
Place = Annotated[int, Field(ge=0, lt=2**63)]
Ranges = Annotated[tuple[tuple[Place, Place], ...], Field(min_length=1, max_length=MOST_PLANNED)]
Count = Annotated[int, Field(ge=1, lt=2**31)]
Pixels = Annotated[int, Field(ge=1, le=2**20)]
Timestamp = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Seconds = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=4096)]
VideoReason = Literal[
    Reason.NOT_A_VIDEO,
    Reason.TRUNCATED,
    Reason.CORRUPT,
    Reason.NO_VIDEO_STREAM,
    Reason.ENCRYPTED,
    Reason.UNSUPPORTED_CODEC,
    Reason.NO_KEYFRAME,
    Reason.TOO_LARGE,
    Reason.TOO_LONG,
    Reason.DECODER_CRASHED,
]
FrameReason = Literal[Reason.TRUNCATED, Reason.CORRUPT, Reason.ENCRYPTED, Reason.UNSUPPORTED_CODEC, Reason.TOO_LARGE]


class Spoken(Model):
    """A message with words in it, which an operator's terminal will show."""

    message: Text
    log_tail: Text = ""

    @field_validator("message", "log_tail")
    @classmethod
    def _printable(cls, text: str) -> str:
        return printable(text)


class Read(Model):
    """The child needs these ranges of the object, one behind the other."""

    kind: Literal["read"]
    ranges: Ranges


class Plan(Model):
    """The child will read these ranges of the object next."""

    kind: Literal["plan"]
    ranges: Ranges


class Codec(Model):
    """The container is open, and holds video in this codec, by FFmpeg's name."""

    kind: Literal["codec"]
    name: Annotated[str, Field(pattern=r"^[0-9a-z_]{1,32}$")]


class Opened(Model):
    """The video is open and its keyframes are chosen."""

    kind: Literal["opened"]
    stream_index: Index
    frames_chosen: Count


class Frame(Model):
    """A picture lies in a slot of the shared memory."""

    kind: Literal["frame"]
    index: Index
    slot: Index
    width: Pixels
    height: Pixels
    source_width: Pixels
    source_height: Pixels
    pts: Timestamp
    pts_seconds: Seconds
    duration_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    decode_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Dead(Spoken):
    """A chosen keyframe cannot be decoded; the others go on."""

    kind: Literal["dead_frame"]
    index: Index
    pts_seconds: Seconds | None
    reason: FrameReason


class Failed(Spoken):
    """The video as a whole cannot be read."""

    kind: Literal["failed"]
    reason: VideoReason


class Done(Model):
    """Every wanted frame has been told of."""

    kind: Literal["done"]
    again: bool = False
    """Whether the child can take another video; believed only where children are reused."""


Message = Plan | Read | Codec | Opened | Frame | Dead | Failed | Done
_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def parse(packet: bytes) -> Message:
    """Parse one packet of a child.

    Raises:
        pydantic.ValidationError: the child said something it may not say.
    """
    return _ADAPTER.validate_json(packet)
