"""Guesses where keyframes lie whose distance in time is always the same. A guess says where to look first, and no more."""

from dataclasses import dataclass

from workers.media.readers.starts import Start, ticks_between

LEAST_TICKS = 900
"""A hundredth of a second: what claims to be shorter is no distance between keyframes."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Where a keyframe should begin."""

    ticks: int
    """By its time stamp."""
    bytes_per_tick: float
    """What lies before it."""

    def place(self, seen: Start) -> int:
        """By a picture that was seen before or behind it."""
        return seen.place + round(ticks_between(seen.ticks, self.ticks) * self.bytes_per_tick)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How far apart keyframes are in time, the last one found, and how many bytes they take."""

    period: int
    last: Start
    key_bytes: int

    def guess(self, seen: Start) -> Guess | None:
        """Where the first keyframe from a picture on should be; None if time has begun anew."""
        passed = ticks_between(self.last.ticks, seen.ticks)
        size = seen.place - self.last.place
        if self.period < LEAST_TICKS or passed <= 0 or size <= 0:
            return None
        periods = -(-passed // self.period)
        between = size - periods * self.key_bytes  # keyframes come at once: what lies between them is spread over time
        return Guess(self.last.ticks + periods * self.period, (between if between > 0 else size) / passed)
