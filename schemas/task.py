"""The unit of work, of retry and of commit: a shard of videos."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field

from schemas.model import Model, content_name
from schemas.video import VideoRef

ShardId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}(\.[0-9a-z]+)*$")]


class ShardTask(Model):
    """What one message carries: the videos that become one output object of a job."""

    job: str
    """The job's output prefix, as a URI."""
    shard_id: ShardId
    recipe_id: str
    videos: Annotated[tuple[VideoRef, ...], Field(min_length=1)]
    only_frames: tuple[int, ...] | None = None
    """Frame indexes to caption, where a descendant stands for the missing frames of its single video; None means all."""
    earlier_letters: tuple[str, ...] = ()
    """Keys of the dead letters that a redrive answers; a new letter names them."""


class Split(Model):
    """The children that stand for a shard that ended its workers, once its object is there and empty."""

    shard_id: ShardId
    children: Annotated[tuple[ShardTask, ...], Field(min_length=2)]
    why: str
    at: datetime


def shard_id(recipe_id: str, videos: Sequence[VideoRef]) -> str:
    """Name a shard by its recipe and its videos, in order."""
    return content_name("shard", recipe_id, [(video.uri, video.etag) for video in videos])


def root_of(shard: str) -> str:
    """The planned shard that a descendant (`S.3`, `S.3.0`) stands under."""
    return shard.partition(".")[0]


def captions_key(shard: str, suffix: str = "") -> str:
    """Where a shard's committed lines lie, relative to the job; `suffix` is the compression's (`.zst`, `.gz`)."""
    return f"captions/{shard[:2]}/{shard}.jsonl{suffix}"


def letter_key(shard: str, place: int, frame_index: int | None = None) -> str:
    """Where the dead letter of a video (or of one of its frames) lies, relative to the job."""
    letter = f"{place}" if frame_index is None else f"{place}.{frame_index}"
    return f"dead/{shard[:2]}/{shard}-{letter}.json"


def redrive_key(shard: str) -> str:
    """Where the wish to caption a dead video again is recorded, relative to the job."""
    return f"redrives/{shard}.json"


def split_key(shard: str) -> str:
    """Where the children that stand for a shard are recorded, relative to the job."""
    return f"splits/{shard}.json"
