"""Which keyframes of a video are captioned: pure policy."""

from collections.abc import Sequence

ROUNDING_SECONDS = 1e-6
"""Keyframes exactly the gap apart, 1.8 and 3.8 say, differ by a little less in floating point."""


def choose(seconds: Sequence[float], *, min_gap_seconds: float, max_per_video: int) -> list[int]:
    """Choose among keyframes shown at `seconds` (in any order) and return their ordinals, ascending.

    From the earliest on each is kept that lies at least `min_gap_seconds` after the one kept before; of more than `max_per_video`, one is
    taken from the middle of each of as many equal parts. Zero lifts a limit.
    """
    return sorted(evenly(_apart(seconds, min_gap_seconds), most=max_per_video))


def evenly(kept: list[int], *, most: int) -> list[int]:
    """Of more than `most`, take one from the middle of each of as many equal parts. Zero lifts the limit."""
    if not 0 < most < len(kept):
        return kept
    return [kept[(2 * part + 1) * len(kept) // (2 * most)] for part in range(most)]


def _apart(seconds: Sequence[float], gap: float) -> list[int]:
    in_time = sorted(range(len(seconds)), key=seconds.__getitem__)
    if gap <= 0:
        return in_time
    kept: list[int] = []
    for ordinal in in_time:
        if not kept or seconds[ordinal] - seconds[kept[-1]] >= gap - ROUNDING_SECONDS:
            kept.append(ordinal)
    return kept
