"""A day of mixed load, and the clouds in which it is worked.

hours   0    2    4    6    8    10   12   14   16   18   20   22   24
jobs     archive───────  · ·  · · ·  films──── · burst · · ·     evening
              drought                   Redis away             idle

What is assumed, and not read of the chart or of the worker, stands here.
"""

import math
from dataclasses import dataclass
from functools import partial
from random import Random

from schemas.job import SHARD_SECONDS

HOUR = 3600.0
LONGEST = 1800.0
"""Seconds of a GPU that the longest film takes; an hour on the clock, since one shard alone gets half a GPU's worth of pictures."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A job: when it is launched, and the GPU-seconds that each of its shards takes."""

    name: str
    at: float
    shards: tuple[float, ...]

    @property
    def large(self) -> bool:
        """Whether it is one of those that take hours."""
        return sum(self.shards) > 10 * HOUR


@dataclass(frozen=True, slots=True)
class Span:
    """From one moment to another."""

    begin: float
    end: float

    def __contains__(self, when: float) -> bool:
        return self.begin <= when < self.end


@dataclass(frozen=True, slots=True)
class Day:
    """What is launched, and what goes wrong."""

    launches: tuple[Launch, ...]
    outages: tuple[Span, ...] = ()
    """Of Redis."""
    droughts: tuple[Span, ...] = ()
    """Of spot machines."""


@dataclass(frozen=True, slots=True)
class Delay:
    """How long something takes: log-normal about its median."""

    median_seconds: float
    spread: float = 0.35

    def draw(self, dice: Random) -> float:
        """One of them."""
        return self.median_seconds * math.exp(dice.gauss(0, self.spread))


@dataclass(frozen=True, slots=True)
class Cloud:
    """Where the machines come from; each has one GPU."""

    provision: Delay
    """From asking to a node that is ready; paid for."""
    pull: Delay
    """The image, on a node that has not got it."""
    load: Delay
    """The model, and all that a worker does before it is ready."""
    machines: int
    machines_in_drought: int
    taken_per_hour: float
    """The share of machines that are taken in an hour."""
    taken_per_hour_in_drought: float
    notice_seconds: float
    """From the notice to the end of the machine."""
    eviction_seconds: float
    """From the notice to SIGTERM."""
    linger_seconds: float
    """How long an empty node is kept."""


CLOUDS = {
    "aws-spot": Cloud(Delay(100), Delay(150), Delay(180), 60, 8, 0.05, 0.5, 120, 10, 60),
    "gcp-spot": Cloud(Delay(120), Delay(150), Delay(300), 60, 8, 0.05, 0.5, 30, 5, 600),
    "onprem": Cloud(Delay(0), Delay(0), Delay(150), 8, 8, 0.0, 0.0, 0, 0, math.inf),
}


def mixed_day(seed: int, *, share: float = 1.0, shard_seconds: float = SHARD_SECONDS) -> Day:
    """The day of this seed; with a smaller share, large jobs of fewer shards."""
    dice = Random(f"day {seed}")  # noqa: S311 - no secret
    large = [
        Launch("archive", 0.5 * HOUR, _shards(dice, hours=50 * share, usual=0.8 * shard_seconds, spread=0.35, films=0.01)),
        Launch("films", 11 * HOUR, _shards(dice, hours=30 * share, usual=0.9 * shard_seconds, spread=0.5, films=0.15)),
    ]
    evening = Launch("evening", 22.5 * HOUR, _shards(dice, hours=3 * share, usual=0.5 * shard_seconds, spread=0.5, films=0.01))
    return Day(
        tuple(sorted([*large, *_trickle(dice), *_burst(dice), evening], key=lambda launch: launch.at)),
        outages=(Span(12.5 * HOUR, 12.5 * HOUR + 600),),
        droughts=(Span(1.5 * HOUR, 3.5 * HOUR),),
    )


def _shards(dice: Random, *, hours: float, usual: float, spread: float, films: float) -> tuple[float, ...]:
    """Shards of so many GPU-hours in all: most are about as long as they were cut to be, films as long as they are."""
    left, found = hours * HOUR, list[float]()
    while left > 0:
        film = dice.random() < films
        seconds = min(LONGEST, 150 * dice.paretovariate(1.1)) if film else usual * math.exp(dice.gauss(0, spread))
        found.append(seconds)
        left -= seconds
    return tuple(found)


def _trickle(dice: Random) -> list[Launch]:
    """Somebody tries something, every 25 minutes of the working day."""
    found, at = list[Launch](), 6 * HOUR
    while (at := at + dice.expovariate(1 / (25 * 60))) < 20 * HOUR:
        hours = sum(dice.expovariate(1) for _ in range(2)) * 0.08
        found.append(Launch(f"small {len(found) + 1}", at, _shards(dice, hours=hours, usual=12, spread=0.8, films=0.005)))
    return found


def _burst(dice: Random) -> list[Launch]:
    """Fifteen jobs within ten minutes."""
    starts = [15 * HOUR + dice.uniform(0, 600) for _ in range(15)]
    shards = partial(_shards, dice, hours=0.33, usual=40, spread=0.6, films=0.01)
    return [Launch(f"burst {number}", at, shards()) for number, at in enumerate(starts, 1)]
