"""Ctrl-C and SIGTERM, counted rather than thrown."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

LOOK_SECONDS = 0.2


@dataclass(slots=True)
class Stop:
    """How often the operator asked for an end."""

    asked: int = 0
    thrown: int = 0
    """Which request in a row is thrown as KeyboardInterrupt, for who cannot look in time; zero for none."""

    def __call__(self) -> bool:
        """Whether to stop taking up work."""
        return self.asked > 0

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until somebody asks for an end."""
        end = time.monotonic() + seconds
        while not self.asked and (left := end - time.monotonic()) > 0:
            time.sleep(min(LOOK_SECONDS, left))


@contextmanager
def listening(stop: Stop) -> Iterator[None]:
    """Count SIGINT and SIGTERM while the block runs."""

    def ask(_signal: int, _frame: FrameType | None) -> None:
        stop.asked += 1
        if stop.asked == stop.thrown:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
