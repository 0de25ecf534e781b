"""Where something is in a frame: boxes as shares of the frame's size, and the words for their place."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

PLACES = ("upper left", "upper centre", "upper right", "centre left", "centre", "centre right", "lower left", "lower centre", "lower right")
SAME_SHARE = 0.5
"""Two boxes are one thing when they share at least this much of the smaller one's area."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in shares (0 to 1) of the frame's width and height; `score` is its detector's, in the detector's own unit."""

    left: float
    top: float
    width: float
    height: float
    score: float = 0.0

    @classmethod
    def in_pixels(cls, rectangle: Iterable[float], *, frame: tuple[int, int], score: float = 0.0) -> Self:
        """Make a box of a detector's (x, y, width, height) in a picture of `frame` = (width, height) pixels, cut at its borders."""
        x, y, width, height = rectangle
        left, top = max(x, 0.0), max(y, 0.0)
        right, bottom = min(x + width, frame[0]), min(y + height, frame[1])
        return cls(left / frame[0], top / frame[1], max(right - left, 0) / frame[0], max(bottom - top, 0) / frame[1], score)

    @property
    def area(self) -> float:
        """Share of the frame that it covers."""
        return self.width * self.height

    @property
    def place(self) -> str:
        """The ninth of the frame in which its centre lies."""
        column = min(int(3 * (self.left + self.width / 2)), 2)
        row = min(int(3 * (self.top + self.height / 2)), 2)
        return PLACES[3 * row + column]


def merge(boxes: Iterable[Box]) -> tuple[Box, ...]:
    """Keep the box with the best score of every group that overlaps, largest first."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: (-box.score, -box.area, box.left, box.top)):
        if all(_shared(box, other) < SAME_SHARE for other in kept):
            kept.append(box)
    return tuple(sorted(kept, key=lambda box: (-box.area, box.left, box.top)))


def _shared(one: Box, other: Box) -> float:
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    smaller = min(one.area, other.area)
    return max(width, 0) * max(height, 0) / smaller if smaller else 0.0
