"""Files that say how a worker is, for whoever probes it by their age: no port, no broker and no storage is asked.

`alive` is touched every few seconds as long as this process runs its code, from before the model is loaded. `ready` is touched as often
from when the engine answers until the worker is told to end, and is gone before and after. `progress` is touched while nothing is at
work, and where something at work has got on since the last time.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from schemas.errors import FatalError

TOUCH_SECONDS = 2.0
ALIVE, READY, PROGRESS = "alive", "ready", "progress"

log = logging.getLogger(__name__)


class Health:
    """The files of one worker in a folder of its own; without a folder it does nothing."""

    def __init__(self, folder: Path | None, *, touch_seconds: float = TOUCH_SECONDS) -> None:
        """Begin alive and not ready, whatever a worker before this one left there.

        Raises:
            FatalError: the folder cannot be written.
        """
        self._folder = folder
        self._touch_seconds = touch_seconds
        self._lock, self._over = threading.Lock(), threading.Event()
        self._ready = self._moved = False
        self._at_work = 0
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        if folder is not None:
            self._start(folder)

    def ready(self) -> None:
        """Say that the engine answers."""
        with self._lock:
            self._ready = True
            self._touch()

    def unready(self) -> None:
        """Say that no more work is taken. A signal's handler may call it, so it waits for no lock; the next touch does the rest."""
        self._ready = False
        self._remove(READY)

    def moved(self) -> None:
        """Note that work gets on."""
        self._moved = True

    @contextmanager
    def work(self) -> Iterator[None]:
        """Note that a shard is at work while the block runs."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        with self._lock:
            self._at_work += more
            self._moved = True

    def close(self) -> None:
        """End touching; what is not touched grows old by itself."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self.unready()

    def _start(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in (READY, PROGRESS):
                (folder / name).unlink(missing_ok=True)
            (folder / ALIVE).touch()
        except OSError as error:
            raise FatalError(f"{folder} cannot hold health files ({error.strerror}); check FRAMEFLEET_HEALTH_FOLDER.") from error
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(self._touch_seconds):
            with self._lock:
                self._touch()

    def _touch(self) -> None:
        if self._folder is None:
            return
        moved, self._moved = self._moved or not self._at_work, False
        try:
            (self._folder / ALIVE).touch()
            if self._ready:
                (self._folder / READY).touch()
            if moved:
                (self._folder / PROGRESS).touch()
        except OSError as error:
            log.warning("health files were not touched: %s", error)
        if not self._ready:
            self._remove(READY)

    def _remove(self, name: str) -> None:
        with suppress(OSError):
            if self._folder is not None:
                (self._folder / name).unlink(missing_ok=True)
