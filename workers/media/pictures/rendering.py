"""Decoded frames to upright, scaled sRGB in shared memory."""

import mmap
from contextlib import suppress

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from schemas.reasons import Reason
from workers.media.child.heap import MADV_POPULATE_WRITE
from workers.media.child.unreadable import UnreadableError
from workers.media.pictures.colour import Colours, Pixels
from workers.media.pictures.deinterlace import progressive
from workers.media.pictures.orientation import display_matrix, is_turned, upright
from workers.media.wire import Job

SANE_ASPECT = 16
"""A pixel more oblong than this is a broken header, not a picture."""
SHAPELESS = {"mpegts", "mpeg", "flv"}
"""Containers without a word on the shape of pixels. What FFmpeg has for these is the first frame's, and it may change."""


class Pictures:
    """Renders frames no larger than the parent asked for, and lays them where it finds them."""

    def __init__(self, memory: mmap.mmap, job: Job) -> None:
        self._job = job
        self._memory = memory
        self._mapped: set[int] = set()
        self._renderer = Renderer(max_width=job.max_width, max_height=job.max_height, bgr=job.bgr)

    def render(self, frame: VideoFrame, stream: VideoStream) -> Pixels:
        """Render a frame that was just decoded from a stream.

        Raises:
            UnreadableError: there is no way from the frame to sRGB.
        """
        return self._renderer.render(frame, pixel_aspect=pixel_aspect(stream))

    def place(self, pixels: Pixels, slot: int) -> None:
        """Write a picture into a slot."""
        start = self._job.slot_at(slot)
        if slot not in self._mapped:
            self._mapped.add(slot)
            self._map(start, start + pixels.size)
        room = np.frombuffer(self._memory, np.uint8, pixels.size, start)
        room.reshape(pixels.shape)[...] = pixels

    def _map(self, start: int, end: int) -> None:
        """Map a slot's pages at once: they are there from the video before, and a fault for each would cost more than the copy."""
        begin = start // mmap.PAGESIZE * mmap.PAGESIZE
        with suppress(OSError):  # before Linux 5.14 each page faults
            self._memory.madvise(MADV_POPULATE_WRITE, begin, end - begin)


class Renderer:
    """Frames to upright pixels of shape (height, width, 3), a view until the next frame: the one copy comes when they are placed."""

    def __init__(self, *, max_width: int, max_height: int, bgr: bool = False) -> None:
        self._most = (max_width, max_height)
        self._colours = Colours(bgr=bgr)

    def render(self, frame: VideoFrame, *, pixel_aspect: float = 1.0) -> Pixels:
        """Deinterlace if need be, scale and convert in one pass, turn upright.

        Raises:
            UnreadableError: there is no way from the frame to sRGB.
        """
        matrix = display_matrix(frame)
        most = self._most[::-1] if is_turned(matrix) else self._most
        width, height = fit((frame.width, frame.height), aspect=pixel_aspect, most=most)
        try:
            return upright(self._colours.srgb(progressive(frame), width, height), matrix)
        except MemoryError:
            raise
        except (FFmpegError, ValueError) as error:
            message = f"Pictures of the form {frame.format.name} cannot be converted: {error}"
            raise UnreadableError(Reason.UNSUPPORTED_CODEC, message) from error


def fit(size: tuple[int, int], *, aspect: float, most: tuple[int, int]) -> tuple[int, int]:
    """Square the pixels and scale to fit within `most`; neither ever enlarges a side, and none vanishes."""
    width, height = size[0] * min(1.0, aspect), size[1] / max(1.0, aspect)
    scale = min(1.0, most[0] / width, most[1] / height)
    return max(1, min(most[0], round(width * scale))), max(1, min(most[1], round(height * scale)))


def pixel_aspect(stream: VideoStream) -> float:
    """How much wider than high a pixel is of the frame decoded last: the container's word, or else the bitstream's."""
    declared = None if stream.container.format.name in SHAPELESS else stream.sample_aspect_ratio
    aspect = float(declared or stream.codec_context.sample_aspect_ratio or 1)
    return aspect if 1 / SANE_ASPECT < aspect < SANE_ASPECT else 1.0
