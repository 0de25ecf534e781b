"""Leaving in time: after SIGTERM a worker finishes or hands back what it has, and is gone before the grace ends."""

import logging
import os
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

SHARE_TO_FINISH = 0.7
"""How much of the grace may be worked on; the rest is for handing back, and for an engine that takes its time to close."""
LAST_SECONDS = 3.0
"""How long before the end of the grace a worker that is still there begins to go, whatever it holds."""
HAND_BACK_SECONDS = 1.0
"""How much of that is for handing back; the rest is for a machine so busy that even going takes its time."""


class Drain:
    """Whether this worker is leaving, and how urgently."""

    def __init__(self, grace_seconds: float, *, last_resort: Callable[[], None], leave: Callable[[int], None] = os._exit) -> None:
        """Be ready to leave within the grace; `last_resort` hands back what is held when everything else has taken too long."""
        self._grace_seconds = grace_seconds
        self._last_resort = last_resort
        self._leave = leave
        self._begun = threading.Event()
        self._due_at = float("inf")

    @property
    def begun(self) -> bool:
        """Whether nothing more must be taken up."""
        return self._begun.is_set()

    @property
    def due(self) -> bool:
        """Whether what is under way must be handed back now."""
        return time.monotonic() >= self._due_at

    def begin(self) -> None:
        """Start leaving. May be called by a signal's handler, and again."""
        if self.begun:
            return
        self._due_at = time.monotonic() + min(SHARE_TO_FINISH * self._grace_seconds, self._grace_seconds - 2 * LAST_SECONDS)
        self._begun.set()
        threading.Thread(target=self._see_to_it, name="drain", daemon=True).start()

    def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the worker is to leave."""
        self._begun.wait(seconds)

    def _see_to_it(self) -> None:
        time.sleep(max(0.5, self._grace_seconds - LAST_SECONDS))
        log.warning("this worker is not done within its grace of %g s: it hands back what it has and goes", self._grace_seconds)
        hand_back = threading.Thread(target=self._last_resort, name="last resort", daemon=True)
        try:
            hand_back.start()
            hand_back.join(HAND_BACK_SECONDS)  # a broker that is frozen keeps nobody here
        finally:
            self._leave(0)
