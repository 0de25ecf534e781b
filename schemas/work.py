"""How much work a video is likely to be, from what a listing tells of it: its size and its container."""

import math
from typing import Annotated

from pydantic import Field

from schemas.model import Model

BYTES_PER_SECOND = 500_000
"""Of an ordinary video: 4 Mbit/s."""
SECONDS_PER_KEYFRAME = 4.0
"""Between keyframes of an ordinary video."""
USUAL = 1 / (BYTES_PER_SECOND * SECONDS_PER_KEYFRAME)

Positive = Annotated[float, Field(gt=0)]


class Work(Model):
    """What is known of the work that videos make; what was learnt from finished ones stands in `frames_per_byte`."""

    frames_per_byte: dict[str, Positive] = Field(default_factory=dict)
    """Chosen keyframes per byte, by suffix (`.mp4`)."""
    seconds_per_frame: Positive = 0.05
    """Of one accelerator, at full load."""
    seconds_per_video: Annotated[float, Field(ge=0)] = 0.1
    """What a video costs whatever is in it."""
    seconds_per_gigabyte: Annotated[float, Field(ge=0)] = 2.0
    """What a video costs by its size, whatever is chosen of it: a large one has a large index."""

    def frames(self, size_bytes: int, suffix: str, *, most: int) -> int:
        """How many keyframes a video is likely to give: at least one, and `most` at most unless that is zero."""
        likely = math.ceil(size_bytes * self.frames_per_byte.get(suffix, USUAL)) or 1
        return likely if not most or likely < most else most

    def seconds(self, size_bytes: int, suffix: str, *, most: int) -> float:
        """How long a video is likely to take."""
        frames = self.frames(size_bytes, suffix, most=most)
        return self.seconds_per_video + self.seconds_per_frame * frames + self.seconds_per_gigabyte * size_bytes / 1e9


def suffix_of(uri: str) -> str:
    """The suffix that tells a video's container, in small letters."""
    dot = uri.rfind(".")
    return uri[dot:].lower() if dot > uri.rfind("/") else ""
