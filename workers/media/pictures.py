"""Decoded frames to upright, scaled RGB in shared memory."""

import mmap
from typing import cast

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from workers.media.wire import Job

SANE_ASPECT = 16
"""A pixel more oblong than this is a broken header, not a picture."""
Pixels = npt.NDArray[np.uint8]


class Pictures:
    """The slots that the parent reads from. One reformatter serves all frames, since most need the same."""

    def __init__(self, memory: mmap.mmap, job: Job) -> None:
        self._job = job
        self._memory = memory
        self._reformatter = VideoReformatter()

    def place(self, frame: VideoFrame, stream: VideoStream, slot: int) -> tuple[int, int]:
        """Write a frame into a slot, upright and no larger than asked for; returns its width and height there."""
        matrix = display_matrix(frame)
        turned = matrix is not None and matrix[0] == 0
        most = (self._job.max_height, self._job.max_width) if turned else (self._job.max_width, self._job.max_height)
        width, height = fit((frame.width, frame.height), aspect=_pixel_aspect(stream), most=most)
        scaled = self._reformatter.reformat(frame, width, height, "rgb24", interpolation=Interpolation.AREA, threads=1)
        upright = _upright(_pixels(scaled), matrix)
        room = np.frombuffer(self._memory, np.uint8, upright.size, self._job.slot_at(slot))
        room.reshape(upright.shape)[...] = upright
        return upright.shape[1], upright.shape[0]


def fit(size: tuple[int, int], *, aspect: float, most: tuple[int, int]) -> tuple[int, int]:
    """Square the pixels and scale to fit within `most`; neither ever enlarges a side, and none vanishes."""
    width, height = size[0] * min(1.0, aspect), size[1] / max(1.0, aspect)
    scale = min(1.0, most[0] / width, most[1] / height)
    return max(1, min(most[0], round(width * scale))), max(1, min(most[1], round(height * scale)))


def _pixel_aspect(stream: VideoStream) -> float:
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if 1 / SANE_ASPECT < aspect < SANE_ASPECT else 1.0


def display_matrix(frame: VideoFrame) -> tuple[int, int, int, int] | None:
    """How the frame is to be shown: a point (x, y) of it at (ax + cy, bx + dy). None for as it is, or for no multiple of 90 degrees."""
    side_data = cast("SideData | None", frame.side_data.get("DISPLAYMATRIX"))
    if side_data is None:
        return None
    a, b, _, c, d = (int(number) for number in np.sign(np.frombuffer(bytes(side_data), np.int32, 5)))
    straight = (a and d and not b and not c) or (b and c and not a and not d)
    return (a, b, c, d) if straight else None


def _upright(pixels: Pixels, matrix: tuple[int, int, int, int] | None) -> Pixels:
    """Turn and mirror a view of the pixels; the copy comes later."""
    if matrix is None:
        return pixels
    a, b, c, d = matrix
    if a == 0:
        pixels = pixels.transpose(1, 0, 2)
    pixels = pixels[:, ::-1] if a + c < 0 else pixels
    return pixels[::-1] if b + d < 0 else pixels


def _pixels(frame: VideoFrame) -> Pixels:
    """View an rgb24 frame's only plane, whose lines may be padded."""
    plane = frame.planes[0]
    return np.ndarray((frame.height, frame.width, 3), np.uint8, buffer=plane, strides=(plane.line_size, 3, 1))  # type: ignore[arg-type]  # a Buffer
