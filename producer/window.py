"""How many shards may wait in the queue: pure policy.

    high water   minutes of work at the rate at which this job's shards are taken; a refill ends there
    low water    half of it; below, the next refill begins

Above both stands a cap on the bytes that Redis holds, which all jobs share.
"""

import math
from dataclasses import dataclass

START = 256
"""Shards that may wait before it is known how fast they are taken."""
TARGET_SECONDS = 600.0
SMOOTHING_SECONDS = 60.0
REDIS_BYTES = 128 << 20
OF_MAXMEMORY = 0.6
"""How much of what Redis may hold at all is for messages; the rest is for claims, and for what the workers tell."""
RESERVED = 0.05
"""The share of the cap that is left to jobs of which hardly anything waits, so that none is shut out by those who came before."""
FEW = 8
"""Shards of a job that are hardly anything."""
MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator grants the queue."""

    most: int = MOST
    """Shards of this job that may wait, however fast they are taken."""
    target_seconds: float = TARGET_SECONDS
    """How long what waits should last."""
    floor: int = 64
    """Shards that may wait however slowly they are taken."""
    redis_bytes: int = REDIS_BYTES

    def cap_bytes(self, *, maxmemory_bytes: int) -> int:
        """How many bytes Redis may hold; its own limit is zero where it has none."""
        return min(self.redis_bytes, int(maxmemory_bytes * OF_MAXMEMORY)) if maxmemory_bytes else self.redis_bytes


@dataclass(frozen=True, slots=True)
class Drain:
    """How fast a job's shards are taken by workers, smoothed."""

    per_second: float = START / TARGET_SECONDS

    def after(self, seconds: float, *, taken: int, emptied: bool) -> "Drain":
        """What is known after some seconds in which so many were taken; where none was left, more would have been: twice as many, say."""
        measured = max(taken, 0) / max(seconds, 1e-3)
        smoothed = self.per_second + (measured - self.per_second) * -math.expm1(-seconds / SMOOTHING_SECONDS)
        return Drain(min(MOST, max(smoothed, 2 * self.per_second) if emptied and taken > 0 else smoothed))


@dataclass(frozen=True, slots=True)
class Look:
    """A look at the queue."""

    waiting: int
    """Shards of this job."""
    used_bytes: int
    """Of Redis, for whatever it holds."""
    maxmemory_bytes: int = 0
    """What it may hold at all; zero where nobody said."""
    jobs: int = 1
    """Jobs that have shards waiting."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many shards may be sent now."""

    shards: int
    full: bool = False
    """Whether more are wanted and Redis holds all it may."""


def high_water(look: Look, *, drain: Drain, limits: Limits, message_bytes: float) -> int:
    """Up to how many shards of this job may wait: minutes of work, and no more than its share of the cap."""
    share = limits.cap_bytes(maxmemory_bytes=look.maxmemory_bytes) / max(look.jobs, 1) / message_bytes
    wanted = max(limits.floor, math.ceil(drain.per_second * limits.target_seconds))
    return max(1, min(wanted, limits.most, max(FEW, int(share))))


def room(look: Look, *, filling: bool, drain: Drain, limits: Limits, message_bytes: float) -> Room:
    """How many may be sent: up to high water once low water was reached, while Redis holds less than the cap."""
    high = high_water(look, drain=drain, limits=limits, message_bytes=message_bytes)
    wanted = high - look.waiting if filling or look.waiting <= high // 2 else 0
    few = FEW - look.waiting
    fits = _fits(look, limits=limits, message_bytes=message_bytes, of_cap=1 - RESERVED)
    if few > 0:
        fits = max(fits, min(few, _fits(look, limits=limits, message_bytes=message_bytes, of_cap=1.0)))
    return Room(max(0, min(wanted, fits)), full=wanted > 0 and fits <= 0)


def _fits(look: Look, *, limits: Limits, message_bytes: float, of_cap: float) -> int:
    cap = limits.cap_bytes(maxmemory_bytes=look.maxmemory_bytes) * of_cap
    return math.floor((cap - look.used_bytes) / message_bytes)
