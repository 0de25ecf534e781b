"""Which way up a frame is to be shown: the four turns, mirrored or not."""

from typing import cast

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame

Matrix = tuple[int, int, int, int]
UPRIGHT: Matrix = (1, 0, 0, 1)


def display_matrix(frame: VideoFrame) -> Matrix:
    """The signs of how the frame is to be shown: a point (x, y) of it at (ax + cy, bx + dy); no multiple of 90 degrees is as it is."""
    side_data = cast("SideData | None", frame.side_data.get("DISPLAYMATRIX"))
    if side_data is None:
        return UPRIGHT
    a, b, _, c, d = (int(number) for number in np.sign(np.frombuffer(bytes(side_data), np.int32, 5)))
    straight = (a and d and not b and not c) or (b and c and not a and not d)
    return (a, b, c, d) if straight else UPRIGHT


def is_turned(matrix: Matrix) -> bool:
    """Whether width becomes height."""
    return matrix[0] == 0


def upright(pixels: npt.NDArray[np.uint8], matrix: Matrix) -> npt.NDArray[np.uint8]:
    """Turn and mirror a view of the pixels; the copy comes later."""
    a, b, c, d = matrix
    if is_turned(matrix):
        pixels = pixels.transpose(1, 0, 2)
    pixels = pixels[:, ::-1] if a + c < 0 else pixels
    return pixels[::-1] if b + d < 0 else pixels
