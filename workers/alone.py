"""Shards side by side, or one by itself: what a suspect does must not be blamed on others, nor theirs on it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOK_SECONDS = 0.2


class Alone:
    """One lock for all shards of a worker. Who asks to be alone goes before whoever comes later."""

    def __init__(self) -> None:
        """Nobody is here yet."""
        self._changed = threading.Condition()
        self._here = 0
        self._alone = False
        self._asking = 0

    @contextmanager
    def side_by_side(self, *, check: Callable[[], None]) -> Iterator[None]:
        """Work beside others, unless one is, or asks to be, alone; `check` is called while waiting and may raise."""
        with self._changed:
            self._wait(lambda: not (self._alone or self._asking), check)
            self._here += 1
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def by_itself(self, *, check: Callable[[], None]) -> Iterator[None]:
        """Work with nobody else here; `check` is called while waiting and may raise."""
        with self._changed:
            self._asking += 1
            try:
                self._wait(lambda: not (self._alone or self._here), check)
                self._alone, self._here = True, 1
            finally:
                self._asking -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            self._leave()

    def _wait(self, free: Callable[[], bool], check: Callable[[], None]) -> None:
        while not free():
            self._changed.wait(LOOK_SECONDS)
            self._changed.release()  # it may ask storage, which must hold up nobody who comes or goes
            try:
                check()
            finally:
                self._changed.acquire()

    def _leave(self) -> None:
        with self._changed:
            self._here -= 1
            self._alone = False
            self._changed.notify_all()
