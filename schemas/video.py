"""Which bytes are meant: a video object, pinned by its etag."""

from typing import Annotated

from pydantic import Field

from schemas.model import Model, content_name

UNKNOWN_ETAG = "?"
"""Etag of an object that could not be looked at when it was planned."""


class VideoRef(Model):
    """One video object as it was when it was listed."""

    uri: Annotated[str, Field(min_length=1)]
    etag: Annotated[str, Field(min_length=1)]
    size_bytes: Annotated[int, Field(ge=0)]


def frame_id(video: VideoRef, *, stream_index: int, pts: int) -> str:
    """Name a frame by its video, stream and presentation time stamp (in the stream's time base)."""
    return content_name("frame", video.uri, video.etag, stream_index, pts)
