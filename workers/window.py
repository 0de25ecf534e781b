"""How many questions to have in flight: pure policy, told what was seen, without a clock.

    the engine tells its queue       from all down to where a sixteenth waits in it: it is fed, and more is only memory and latency
    it does not, and rates decide    double ▶ grow by a quarter ▶ rest ▶ try an eighth less ▶ rest ▶ try a quarter more ▶ rest …

A trial is kept if throughput gained at least a sixteenth of what the window gained; so a smaller window is kept if it loses almost nothing.
"""

from dataclasses import dataclass

FLOOR = 16
"""Below it nothing is adapted: an engine for so few takes what it says it takes."""
QUEUE_SHARE = 16
"""One question of so many should wait in the engine's own queue."""
WORTH = 16
"""Throughput must gain one part in so many of what the window gained."""
MEASURES = 3
"""Intervals that a trial is judged by, after one in which the engine gets used to it."""
SHORTEST_REST, LONGEST_REST = 4, 64
"""Intervals between trials; where neither more nor less was better, twice as many."""
STRAY, STRAYS = 0.15, 2
"""A rate so far from the usual one, so often in a row, says that the engine is not what it was."""
SMOOTHING = 0.25


@dataclass(frozen=True, slots=True)
class Seen:
    """What happened in an interval, which should be about as long as the engine takes for an answer."""

    completed: int
    seconds: float
    full: bool
    """Whether the window was what held questions back. If not, the interval teaches nothing."""
    waiting: int | None
    """Questions in the engine's own queue at the interval's end; None if it cannot say."""


class Window:
    """The size of the window, from `floor` to `bound` questions."""

    def __init__(self, *, bound: int, floor: int = FLOOR, queue_is_told: bool = False) -> None:
        """Begin with all where the engine will tell what is too much, else small."""
        self.bound = max(bound, 1)
        self.floor = min(floor, self.bound)
        self.size = self.bound if queue_is_told else self.floor
        self._climb = Climb(self.floor, floor=self.floor, bound=self.bound)

    def next_size(self, seen: Seen) -> int:
        """Learn from an interval and say how large the window should be now."""
        if seen.full and self.floor < self.bound:
            size = self._climb.next_size(seen) if seen.waiting is None else self._fed(seen.waiting)
            self.size = min(max(size, self.floor), self.bound)
        return self.size

    def _fed(self, waiting: int) -> int:
        """Follow the engine's queue: half of what is too much comes off, and where (nearly) none is left the window grows."""
        wanted = self.size // QUEUE_SHARE
        if waiting > 2 * wanted:
            return self.size - max(1, (waiting - wanted) // 2)
        return larger(self.size) if waiting < max(1, wanted // 2) else self.size


class Climb:
    """Finds the smallest window with (nearly) the best throughput, by trials against the size that held so far."""

    def __init__(self, size: int, *, floor: int, bound: int) -> None:
        """Begin at a size."""
        self._floor, self._bound = floor, bound
        self._base, self._base_rate = size, 0.0
        self._trial: int | None = None
        self._up = self._doubling = True
        self._rest, self._next_rest = 0, SHORTEST_REST
        self._to_skip = self._strays = 0
        self._measured: list[Seen] = []

    def next_size(self, seen: Seen) -> int:
        """Learn from an interval in which the window was full."""
        if self._to_skip:
            self._to_skip -= 1
        elif self._trial is None:
            self._at_rest(seen.completed / seen.seconds)
        else:
            self._on_trial(self._trial, seen)
        return self._trial or self._base

    def _at_rest(self, rate: float) -> None:
        if not self._base_rate:
            self._base_rate = rate
        if abs(rate / self._base_rate - 1) > STRAY:
            self._stray(rate)
            return
        self._strays = 0
        self._base_rate += (rate - self._base_rate) * SMOOTHING
        self._rest -= 1
        if self._rest <= 0:
            self._try()

    def _stray(self, rate: float) -> None:
        """Once is a stall; twice is another engine: find its size anew."""
        self._strays += 1
        if self._strays < STRAYS:
            return
        self._up = rate > self._base_rate
        self._base_rate, self._strays, self._next_rest = rate, 0, SHORTEST_REST
        self._try()

    def _try(self) -> None:
        trial = self._candidate()
        if trial == self._base:  # at the end of the range
            self._up, self._doubling = not self._up, False
            trial = self._candidate()
        self._trial, self._to_skip = trial, 1
        self._measured.clear()

    def _candidate(self) -> int:
        step = 2 * self._base if self._doubling else larger(self._base)
        return min(step, self._bound) if self._up else max(self._base - max(1, self._base // 8), self._floor)

    def _on_trial(self, trial: int, seen: Seen) -> None:
        self._measured.append(seen)
        if len(self._measured) < MEASURES and not self._doubling:
            return
        rate = sum(one.completed for one in self._measured) / sum(one.seconds for one in self._measured)
        if rate / self._base_rate - 1 >= (trial / self._base - 1) / WORTH:
            self._base, self._base_rate, self._next_rest = trial, rate, SHORTEST_REST
            self._try()
        else:
            self._step_back()

    def _step_back(self) -> None:
        self._trial, self._to_skip = None, 1
        if self._doubling:
            self._doubling, self._rest = False, SHORTEST_REST
            return
        self._rest = self._next_rest
        if not self._up:
            self._next_rest = min(2 * self._next_rest, LONGEST_REST)
        self._up = not self._up


def larger(size: int) -> int:
    """A quarter more."""
    return size + max(1, size // 4)
