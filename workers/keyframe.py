"""A decoded keyframe on its way to an engine."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import simplejpeg

from schemas.errors import PermanentError


@dataclass(frozen=True)
class Picture:
    """Pixels as an engine gets them: packed sRGB, `height` x `width` x 3 bytes, upright, scaled to the recipe's size."""

    rgb: bytes
    width: int
    height: int
    jpeg_quality: int = 90

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        """The pixels as a read-only array of shape (height, width, 3); no copy."""
        return np.frombuffer(self.rgb, np.uint8).reshape(self.height, self.width, 3)

    @cached_property
    def jpeg(self) -> bytes:
        """The picture as a JPEG (4:2:0), encoded once."""
        return bytes(simplejpeg.encode_jpeg(self.array, quality=self.jpeg_quality, colorspace="RGB", colorsubsampling="420"))


@dataclass(frozen=True, slots=True)
class Keyframe:
    """One chosen keyframe of a video."""

    frame_index: int
    """Place among the video's chosen keyframes."""
    frames_chosen: int
    stream_index: int
    pts: int
    """Presentation time stamp in the stream's time base."""
    pts_seconds: float
    duration_seconds: float | None
    source_width: int
    """Width of the decoded frame in pixels, before rotation and scaling."""
    source_height: int
    picture: Picture
    decode_seconds: float


@dataclass(frozen=True, slots=True)
class DeadFrame:
    """A chosen keyframe that cannot be decoded."""

    frame_index: int
    frames_chosen: int
    pts_seconds: float | None
    error: PermanentError
