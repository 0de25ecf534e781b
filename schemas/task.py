"""The unit of work, of retry and of commit: a shard of videos."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from schemas.model import Model, content_name
from schemas.video import VideoRef

SHARD_ID = r"^[0-9a-f]{32}(\.[0-9a-z]+)*$"
ShardId = Annotated[str, Field(pattern=SHARD_ID)]


class Changes(Model):
    """What a redrive has otherwise than its fleet and its recipe; None leaves it as it is. No part of the recipe, nor of any name."""

    decode_deadline_seconds: Annotated[float, Field(gt=0)] | None = None
    frame_deadline_seconds: Annotated[float, Field(gt=0)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None

    @property
    def patience_seconds(self) -> float:
        """How long nothing may move before a worker is called stalled, if that is longer than by its settings."""
        return 2 * max(self.decode_deadline_seconds or 0.0, self.frame_deadline_seconds or 0.0)


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
    changes: Changes = Changes()

    @model_serializer(mode="wrap")
    def _without_empty_changes(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out changes where there are none: most tasks know of none, and their bytes stay what they were."""
        fields: dict[str, Any] = written(self)
        if self.changes == Changes():
            fields.pop("changes", None)
        return fields


class Split(Model):
    """The children that stand for a shard that ended its workers, once its object is there and empty."""

    shard_id: ShardId
    children: tuple[ShardTask, ...]
    """None where all its videos failed of themselves, so that its empty object means that and no split."""
    why: str
    at: datetime


def shard_id(recipe_id: str, videos: Sequence[VideoRef]) -> str:
    """Name a shard by its recipe and its videos, in order."""
    return shard_name(recipe_id, [(video.uri, video.etag) for video in videos])


def shard_name(recipe_id: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Name a shard by its recipe and the URIs and etags of its videos, in order."""
    return content_name("shard", recipe_id, pairs)


def root_of(shard: str) -> str:
    """The planned shard that a descendant (`S.3`, `S.3.0`) stands under."""
    return shard.partition(".")[0]


def captions_key(shard: str, suffix: str = "") -> str:
    """Where a shard's committed lines lie, relative to the job; `suffix` is the compression's (`.zst`, `.gz`)."""
    return f"captions/{shard[:2]}/{shard}.jsonl{suffix}"


def letter_key(shard: str, place: int, frame_index: int | None = None) -> str:
    """Where the dead letter of a video (or of one of its frames) lies, relative to the job."""
    return f"dead/{shard[:2]}/{letter_name(shard, place, frame_index)}.json"


def letter_name(shard: str, place: int, frame_index: int | None = None) -> str:
    """What a dead letter is called; its key ends with it."""
    return f"{shard}-{place}" if frame_index is None else f"{shard}-{place}.{frame_index}"


def redrive_key(shard: str) -> str:
    """Where the wish to caption a dead video again is recorded, relative to the job."""
    return f"redrives/{shard}.json"


def split_key(shard: str) -> str:
    """Where the children that stand for a shard are recorded, relative to the job."""
    return f"splits/{shard}.json"
