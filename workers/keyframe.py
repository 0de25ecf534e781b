"""A decoded keyframe on its way to an engine."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
import numpy.typing as npt
import simplejpeg

from schemas.errors import PermanentError


class Order(StrEnum):
    """How a pixel's three bytes follow each other."""

    RGB = "rgb"
    BGR = "bgr"


class Form(StrEnum):
    """What an engine takes pictures as."""

    RGB = "rgb"
    """Packed sRGB, `height` x `width` x 3 bytes."""
    JPEG = "jpeg"
    """A JPEG file with 4:2:0 chroma."""

    @property
    def order(self) -> Order:
        """What a decoder lays pixels down as for this form: FFmpeg's scaler is quickest at BGR, which a JPEG encoder takes as well."""
        return Order.BGR if self is Form.JPEG else Order.RGB


@dataclass(frozen=True, slots=True)
class Picture:
    """An upright picture, scaled to the recipe's size, in the one form that its engine takes."""

    body: bytes
    width: int
    height: int
    form: Form = Form.RGB

    @classmethod
    def of(cls, pixels: npt.NDArray[np.uint8], *, form: Form, jpeg_quality: int, order: Order = Order.RGB) -> Self:
        """Copy or encode pixels of shape (height, width, 3), once. For packed RGB they must be of that order."""
        height, width, _ = pixels.shape
        if form is Form.RGB:
            return cls(pixels.tobytes(), width, height, form)
        body = simplejpeg.encode_jpeg(pixels, quality=jpeg_quality, colorspace=order.upper(), colorsubsampling="420")
        return cls(bytes(body), width, height, form)

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        """The pixels of an RGB picture as a read-only array of shape (height, width, 3); no copy."""
        assert self.form is Form.RGB  # noqa: S101 - an engine that takes no RGB asked for it
        return np.frombuffer(self.body, np.uint8).reshape(self.height, self.width, 3)

    @property
    def jpeg(self) -> bytes:
        """The file of a JPEG picture."""
        assert self.form is Form.JPEG  # noqa: S101 - an engine that takes no JPEG asked for it
        return self.body


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
    thumbnail: bytes | None = None
    """What near duplicates are known by, see `workers.similarity`; None unless the policy skips them."""
    codec: str = ""
    """FFmpeg's name of the video's codec."""


@dataclass(frozen=True, slots=True)
class DeadFrame:
    """A chosen keyframe that cannot be decoded."""

    frame_index: int
    frames_chosen: int
    pts_seconds: float | None
    error: PermanentError
