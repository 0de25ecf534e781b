"""Watching what a job costs and when it will be done, while its producer runs."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from fleet.spent import Meter, Spent
from schemas.errors import BrokerAwayError, OperatorError
from storage import StoreError

LOOK_SECONDS = 5.0
TICK_SECONDS = 1.0


class Guard(Protocol):
    """Something that heeds what is spent."""

    def heed(self, spent: Spent, workers: int) -> None:
        """Say or do what follows from it."""


class Watch:
    """Looks at a job every now and then while a producer feeds it. For one thread; what is spent may be asked from any."""

    def __init__(
        self, meter: Meter, guards: Sequence[Guard], *, every_seconds: float = LOOK_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Have guards heed what a meter reads."""
        self._meter, self._guards = meter, guards
        self._every_seconds, self._clock, self._due = every_seconds, clock, clock()

    @property
    def spent(self) -> dict[str, float]:
        """What is to be noted, so that who goes on knows of it."""
        return self._meter.spent.noted()

    def look(self) -> None:
        """Look, unless that was done seconds ago. A broker that is away is looked at again later, and then for all the time between.

        Raises:
            StoreError: the job cannot be paused.
        """
        if self._clock() < self._due:
            return
        self._due = self._clock() + self._every_seconds
        try:
            spent = self._meter.look()
        except BrokerAwayError:
            return
        for guard in self._guards:
            guard.heed(spent, self._meter.workers)


@contextmanager
def watching(watch: Watch, *, say: Callable[[str], None]) -> Iterator[None]:
    """Watch from a thread of its own while the block feeds the job, whatever the block waits for."""
    over = threading.Event()
    thread = threading.Thread(target=_keep_looking, args=(watch, over, say), name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _keep_looking(watch: Watch, over: threading.Event, say: Callable[[str], None]) -> None:
    told = ""
    while not over.wait(TICK_SECONDS):
        try:
            watch.look()
        except (StoreError, OperatorError) as error:  # the next look tries again
            if str(error) != told:
                told = str(error)
                say(f"Budget and deadline cannot be followed now: {told}")
