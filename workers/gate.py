"""Lets so many coroutines at a time to the engine, and learns from how they fare how many that should be."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from workers.window import Seen, Window

SHORTEST_INTERVAL_SECONDS = 0.5
GAPS_OF_A_FULL_WINDOW = 20
"""A window counts as full if at most one answer of so many left a place that nobody took at once."""


class Gate:
    """`async with gate:` waits for a place among those in flight, first come first served. Lives on one event loop.

    An interval ends when as many answers are in as the window has places, which is about one latency, but not sooner than half a second.
    """

    def __init__(
        self,
        window: Window,
        *,
        waiting: Callable[[], int | None],
        resized: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open with the window's size; `waiting` tells the engine's own queue, `resized` hears of every new size."""
        self.in_flight = 0
        self._window = window
        self._waiting = waiting
        self._resized = resized
        self._clock = clock
        self._queue: deque[asyncio.Future[None]] = deque()
        self._begin()

    @property
    def size(self) -> int:
        """How many may be in flight now."""
        return self._window.size

    async def __aenter__(self) -> Self:
        """Wait for a place and take it."""
        if self._queue or self.in_flight >= self.size:
            await self._queued()
        else:
            self.in_flight += 1
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give the place to the next; an answer that was taken back does not count as one."""
        self._leave()
        if kind is None or not issubclass(kind, asyncio.CancelledError):
            self._count()

    async def _queued(self) -> None:
        place = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it was given at the same moment
                self._leave()
            elif place in self._queue:
                self._queue.remove(place)
            raise

    def _leave(self) -> None:
        self.in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        given = (place for place in iter(self._next, None) if not place.cancelled())
        for place in given:
            self.in_flight += 1
            place.set_result(None)

    def _next(self) -> "asyncio.Future[None] | None":
        return self._queue.popleft() if self._queue and self.in_flight < self.size else None

    def _begin(self) -> None:
        self._completed = self._gaps = 0
        self._began_at = self._clock()

    def _count(self) -> None:
        self._completed += 1
        self._gaps += self.in_flight < self.size
        if self._completed < self.size:
            return
        seconds = self._clock() - self._began_at
        if seconds >= SHORTEST_INTERVAL_SECONDS:
            self._learn(seconds)

    def _learn(self, seconds: float) -> None:
        before, full = self.size, self._gaps * GAPS_OF_A_FULL_WINDOW <= self._completed
        if self._window.next_size(Seen(self._completed, seconds, full, self._waiting())) != before:
            self._resized(self.size)
            self._admit()
        self._begin()
