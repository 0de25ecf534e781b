"""How far apart two pictures are to the eye of a captioner: by the mean colours of a 16 x 16 grid."""

import numpy as np
import numpy.typing as npt

from workers.keyframe import Order

CELLS = 16
"""Cells of the grid along each side."""


def thumbnail(pixels: npt.NDArray[np.uint8], *, order: Order = Order.RGB) -> bytes:
    """Average pixels of shape (height, width, 3) over each cell of the grid: 16 x 16 x 3 bytes of RGB, whatever the picture's size."""
    rows = np.stack([pixels[start:end].mean(axis=0) for start, end in _cells(pixels.shape[0])])
    cells = np.stack([rows[:, start:end].mean(axis=1) for start, end in _cells(pixels.shape[1])], axis=1)
    levels = np.rint(cells).astype(np.uint8)
    return bytes((levels[..., ::-1] if order is Order.BGR else levels).tobytes())


def distance(one: bytes, other: bytes) -> int:
    """The largest difference between two thumbnails in any colour of any cell, from 0 to 255 (the Chebyshev distance).

    A mean over the picture would hide a small thing that matters, a hash of gradients (dHash, pHash) a change of colour; see ADR 11.
    """
    levels = [np.frombuffer(each, np.uint8).astype(np.int16) for each in (one, other)]
    return int(np.abs(levels[0] - levels[1]).max())


def _cells(length: int) -> list[tuple[int, int]]:
    """Where the cells of a side begin and end; those of a side shorter than the grid overlap."""
    return [(cell * length // CELLS, max(cell * length // CELLS + 1, (cell + 1) * length // CELLS)) for cell in range(CELLS)]
