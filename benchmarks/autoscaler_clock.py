"""Simulated time: what happens next, happens next."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count


class Clock:
    """Calls what is due, in order of time; of one moment, in the order in which it was asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Call at that time, or now where that is over."""
        heappush(self._due, (max(when, self.now), next(self._numbers), what))

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Call that much later."""
        self.at(self.now + seconds, what)

    def every(self, seconds: float, what: Callable[[], None], *, first: float = 0.0) -> None:
        """Call again and again, for ever."""

        def again() -> None:
            what()
            self.after(seconds, again)

        self.at(first, again)

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._due and self._due[0][0] <= until:
            self.now, _, what = heappop(self._due)
            what()
        self.now = until
