"""Pictures between the decoder and the engine: bounded, and the oldest shard's first."""

import threading
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count

SMALLEST_LEAD = 16


def lead(window: int) -> int:
    """How many decoded pictures should wait beside those in flight: enough to fill a window that grows, or that a decoder pauses for."""
    return max(SMALLEST_LEAD, window // 2)


@dataclass(order=True, slots=True)
class Waiting:
    """Somebody who holds a picture out."""

    turn: int
    number: int
    """Of one turn, who came first."""
    size_bytes: int = field(compare=False)
    served: threading.Event = field(compare=False, default_factory=threading.Event)


class Backlog:
    """Room for so many pictures, and so many bytes of them. Safe from many threads.

    Whoever's turn came first is served first, until its shard is done: few children decode at a time, each with warm caches, and shards
    end one after the other instead of all at once.
    """

    def __init__(self, *, pictures: int, size_bytes: int) -> None:
        """Begin empty."""
        self._pictures = pictures
        self._bytes = size_bytes
        self._held_pictures = self._held_bytes = 0
        self._numbers = count()
        self._waiting: list[Waiting] = []
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """How many pictures have their room."""
        return self._held_pictures

    def resize(self, *, pictures: int) -> None:
        """Hold so many pictures from now on; who is in stays."""
        with self._lock:
            self._pictures = pictures
            self._serve()

    def enter(self, size_bytes: int, *, turn: int) -> None:
        """Wait until there is room for a picture, and take it. A picture larger than all the room waits for all of it."""
        waiting = Waiting(turn, next(self._numbers), size_bytes)
        with self._lock:
            heappush(self._waiting, waiting)
            self._serve()
        try:
            waiting.served.wait()
        except BaseException:
            self._withdraw(waiting)
            raise

    def leave(self, size_bytes: int) -> None:
        """Give the room of a picture back."""
        with self._lock:
            self._give_back(size_bytes)

    def _withdraw(self, waiting: Waiting) -> None:
        with self._lock:
            if waiting.served.is_set():
                self._give_back(waiting.size_bytes)
            else:
                self._waiting.remove(waiting)
                heapify(self._waiting)
                self._serve()

    def _give_back(self, size_bytes: int) -> None:
        self._held_pictures -= 1
        self._held_bytes -= size_bytes
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._fits(self._waiting[0]):
            served = heappop(self._waiting)
            self._held_pictures += 1
            self._held_bytes += served.size_bytes
            served.served.set()

    def _fits(self, one: Waiting) -> bool:
        if self._held_pictures == 0:
            return True
        return self._held_pictures < self._pictures and self._held_bytes + one.size_bytes <= self._bytes
