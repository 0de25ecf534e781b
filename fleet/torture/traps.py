"""Traps in the proxy: the next request of a worker that gets to a certain moment sets off a deed, such as the worker's death."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Moment(StrEnum):
    """Where a request can be when something is done to whoever sent it."""

    MID_GET = "half of a video's bytes were sent"
    AFTER_GET = "a video's bytes were sent"
    BEFORE_PUT = "the commit has arrived, and nothing of it was passed on"
    MID_PUT = "half of the commit has arrived"
    COMMITTED = "the commit is done, and its answer not yet sent"
    ANSWERED = "the commit's answer was sent"


@dataclass(slots=True)
class Trap:
    """One deed that waits for its moment."""

    slot: int
    moment: Moment
    deed: Callable[[str], bool]
    """Called with the request's key; returns whether it was done. Must be quick: the proxy waits."""
    sprung: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True)
class Traps:
    """All traps that are set; safe from any thread."""

    _set: list[Trap] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, trap: Trap) -> None:
        """Set a trap, for one deed."""
        with self._lock:
            self._set.append(trap)

    def take_away(self, trap: Trap) -> None:
        """Remove a trap that nobody went into."""
        with self._lock:
            if trap in self._set:
                self._set.remove(trap)

    def awaits(self, slot: int, moment: Moment) -> bool:
        """Whether a trap waits for this."""
        with self._lock:
            return any(trap.slot == slot and trap.moment is moment for trap in self._set)

    def spring(self, slot: int, moment: Moment, key: str) -> bool:
        """Do what waits for this moment; returns whether something was done."""
        with self._lock:
            trap = next((trap for trap in self._set if trap.slot == slot and trap.moment is moment), None)
            if trap is None or not trap.deed(key):
                return False
            self._set.remove(trap)
        trap.sprung.set()
        return True
