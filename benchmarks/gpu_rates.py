"""How fast a growing count grew: one way of reckoning for vLLM alone and for the pipeline, so that their ratio says something."""

from collections.abc import Sequence
from statistics import linear_regression

FROM, TO = 0.15, 0.85
"""Parts of the frames between which the rate is taken: before it the batch fills, after it empties."""
LOOK_SECONDS = 0.25

Point = tuple[float, float]
"""A time in seconds, and the count then."""
Span = tuple[float, float]
"""When something began and when it ended."""


def steady(points: Sequence[Point]) -> list[Point]:
    """The points between the parts of the final count.

    Raises:
        ValueError: there are too few of them to tell a rate.
    """
    last = points[-1][1]
    inside = [(at, count) for at, count in points if FROM * last <= count <= TO * last]
    if len({at for at, _ in inside}) < 2:
        raise ValueError("too few frames were answered to tell a rate: ask for more")
    return inside


def per_second(points: Sequence[Point]) -> float:
    """Slope of the least-squares line through the steady points, which hardly minds where in a wave of answers it begins and ends."""
    times, counts = zip(*steady(points), strict=True)
    return float(linear_regression(times, counts).slope)


def curve(spans: Sequence[Span]) -> list[Point]:
    """How much was done at even intervals, each thing counted by and by from its beginning to its end.

    Asked all at once, answers of one length come in waves as large as the batch. Counted at their ends, a few waves make a staircase, whose
    slope comes out too low.
    """
    first, last = min(begin for begin, _ in spans), max(end for _, end in spans)
    looks = max(8, int((last - first) / LOOK_SECONDS))
    seen = [first + number * (last - first) / looks for number in range(looks + 1)]
    return [(at, sum(min(1.0, max(0.0, (at - begin) / (end - begin))) for begin, end in spans)) for at in seen]
