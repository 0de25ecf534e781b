"""From what workers count to what an operator asks: how fast, how near to what the engines can do, and at what price."""

from collections.abc import Iterable, Iterator, Sequence

from broker.vitals import Vitals
from schemas.model import Model

AT_WORK_SECONDS = 5.0
"""A worker between two shards is still at work."""
SECONDS_PER_HOUR = 3600.0


class Efficiency(Model):
    """Rates of one worker or of some together; None where there is nothing to divide by, or where nobody measured or said."""

    frames_per_second: float
    """Delivered in the last minute of work, by those that are at work."""
    ceiling_share: float | None
    """What their engines answered in that minute, over what they can answer at all."""
    frames_per_second_since_start: float
    """While they had work, since they were ready."""
    ceiling_share_since_start: float | None
    gpu_seconds_per_frame: float | None
    """Wall seconds at work for each delivered frame; a worker counts as one GPU."""
    dollars_per_million_frames: float | None
    """Of those whose price is set."""
    prefix_cache_share: float | None
    """Prompt tokens that came out of the prefix cache."""


def efficiency_of(workers: Sequence[Vitals]) -> Efficiency:
    """Sum workers up."""
    busy = [one for one in workers if one.idle_seconds < AT_WORK_SECONDS and one.recent_seconds > 0]
    worked = [one for one in workers if one.seconds_at_work > 0]
    measured = [(one, one.ceiling_frames_per_second) for one in worked if one.ceiling_frames_per_second]
    now = [(one.recent_captioned / one.recent_seconds, ceiling) for one, ceiling in measured if one in busy]
    return Efficiency(
        frames_per_second=sum(one.recent_frames / one.recent_seconds for one in busy),
        ceiling_share=_share(now),
        frames_per_second_since_start=sum(one.frames / one.seconds_at_work for one in worked),
        ceiling_share_since_start=_share([(one.captioned, one.seconds_at_work * ceiling) for one, ceiling in measured]),
        gpu_seconds_per_frame=_over(sum(one.seconds_at_work for one in workers), sum(one.frames for one in workers)),
        dollars_per_million_frames=_dollars(workers),
        prefix_cache_share=_share([(one.tokens["cached"], one.tokens.get("prompt", 0)) for one in workers if "cached" in one.tokens]),
    )


def dollars_per_million(gpu_seconds_per_frame: float, *, dollars_per_hour: float) -> float:
    """What a million frames cost."""
    return 1e6 * gpu_seconds_per_frame * dollars_per_hour / SECONDS_PER_HOUR


def _dollars(workers: Sequence[Vitals]) -> float | None:
    priced = [(one, one.dollars_per_hour) for one in workers if one.dollars_per_hour is not None]
    spent = sum(one.seconds_at_work * price / SECONDS_PER_HOUR for one, price in priced)
    per_frame = _over(spent, sum(one.frames for one, _ in priced))
    return None if per_frame is None else 1e6 * per_frame


def _share(parts: Sequence[tuple[float, float]]) -> float | None:
    return _over(sum(part for part, _ in parts), sum(whole for _, whole in parts))


def _over(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def in_words(efficiency: Efficiency) -> str:
    """Say rates in one line, leaving out what is not known."""
    return ", ".join(_said(efficiency))


def _said(one: Efficiency) -> Iterator[str]:
    yield _rate("now", one.frames_per_second, one.ceiling_share)
    yield _rate("since the start", one.frames_per_second_since_start, one.ceiling_share_since_start)
    if one.gpu_seconds_per_frame is not None:
        yield f"{one.gpu_seconds_per_frame:.4f} GPU-seconds a frame"
    if one.dollars_per_million_frames is not None:
        yield f"{one.dollars_per_million_frames:.2f} $ per million frames"
    if one.prefix_cache_share is not None:
        yield f"{one.prefix_cache_share:.0%} of the prompt tokens out of the prefix cache"


def _rate(when: str, frames_per_second: float, share: float | None) -> str:
    return f"{frames_per_second:.2f} frames/s {when}" + ("" if share is None else f" ({share:.1%} of the ceiling)")


def work_in_words(vitals: Vitals) -> str:
    """Say what a worker is at: its window and what came of the rungs of the repair ladder."""
    rungs = (f"{count} {rung} {end}" for rung, ends in vitals.rungs.items() for end, count in ends.items())
    state = "idle, " if vitals.idle_seconds >= AT_WORK_SECONDS else ""
    window = f"{state}window {vitals.window}, {vitals.in_flight} in flight, {vitals.pictures_waiting} pictures wait"
    return f"{window}; rungs: {', '.join(rungs) or 'none'}"


def without_ceiling(workers: Iterable[Vitals]) -> list[str]:
    """Engines of workers that have worked and know no ceiling, each once."""
    return sorted({one.engine.partition(" ")[0] for one in workers if one.model and one.ceiling_frames_per_second is None})
