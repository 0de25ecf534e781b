"""Engines as arithmetic: how fast so many questions in flight are answered, and what lies in the engine's queue."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean

from workers.window import Seen, Window

LATENCY_SECONDS = 10.0
Rate = Callable[[float], float]


def saturating(capacity: int) -> Rate:
    """So many are answered side by side, the rest waits its turn."""
    return lambda in_flight: min(in_flight, capacity) / LATENCY_SECONDS


def bending(capacity: int) -> Rate:
    """A batch of `capacity` has 90 % of the best throughput there is; the more, the less each adds."""
    return lambda in_flight: capacity / LATENCY_SECONDS * in_flight / (in_flight + capacity / 9)


def thrashing(capacity: int) -> Rate:
    """Beyond its capacity each question more costs throughput."""
    return lambda in_flight: min(in_flight, capacity * max(0.2, 2 - in_flight / capacity)) / LATENCY_SECONDS


@dataclass
class Model:
    """An engine, its noise, and the window that is tried on it."""

    rate: Rate
    window: Window
    noise: float = 0.0
    queues_beyond: int | None = None
    """The engine tells its queue, which is all beyond so many; None: it does not tell."""
    fed: int = 10**9
    """So many questions are there at most."""
    seed: int = 1
    sizes: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - noise

    def run(self, intervals: int) -> "Model":
        for _ in range(intervals):
            self.interval()
        return self

    def interval(self, *, slower: float = 1.0) -> None:
        """As many answers as the window has places, after however long they take."""
        size = self.window.size
        in_flight = min(size, self.fed)
        rate = self.rate(in_flight) / slower
        seen_rate = max(rate * self.random.gauss(1, self.noise), rate / 10)
        waiting = None if self.queues_beyond is None else max(0, in_flight - self.queues_beyond)
        self.sizes.append(size)
        self.rates.append(rate)
        self.window.next_size(Seen(size, size / seen_rate, self.fed >= size, waiting))

    def share_of_best(self, *, last: int) -> float:
        """Throughput of the last intervals, probes and all, as a share of what the best window would have."""
        best = max(self.rate(min(size, self.fed)) for size in range(1, self.window.bound + 1))
        return fmean(self.rates[-last:]) / best
