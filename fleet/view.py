"""What an operator sees while a run goes on: a live line on a terminal, a plain line now and then in a pipe."""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

PLAIN_EVERY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a run is."""

    videos_done: int
    videos_planned: int
    plan_complete: bool
    frames: int
    dead: int
    videos_before: int = 0
    """Videos that earlier runs had finished."""


class View:
    """Draws snapshots on standard error."""

    def __init__(self, console: Console) -> None:
        """Draw on this console."""
        self._console = console
        self._started = time.monotonic()
        self._last_plain = self._started
        self._live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        self._note = ""

    def __enter__(self) -> Self:
        """Begin to draw."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Take the live line away."""
        if self._live:
            self._live.stop()

    def say(self, words: str) -> None:
        """Say something that stays."""
        self._console.print(words, highlight=False, soft_wrap=True)

    def note(self, words: str) -> None:
        """Say what the run is doing besides, next to the figures."""
        if words != self._note:
            self._note = words
            self._last_plain = 0.0

    def show(self, snapshot: Snapshot) -> None:
        """Draw a snapshot."""
        line = describe(snapshot, elapsed_seconds=time.monotonic() - self._started, note=self._note)
        if self._live:
            self._live.update(Text(line))
        elif time.monotonic() - self._last_plain >= PLAIN_EVERY_SECONDS:
            self._last_plain = time.monotonic()
            self.say(line)


def describe(snapshot: Snapshot, *, elapsed_seconds: float, note: str = "") -> str:
    """Put a snapshot into one line."""
    planned = f"{snapshot.videos_planned}{'' if snapshot.plan_complete else '+'}"
    rate = snapshot.frames / elapsed_seconds if elapsed_seconds > 0 else 0.0
    fresh, left = snapshot.videos_done - snapshot.videos_before, snapshot.videos_planned - snapshot.videos_done
    eta = clock(elapsed_seconds * left / fresh) if fresh > 0 else "--:--"
    parts = [
        f"{snapshot.videos_done}/{planned} videos",
        f"{snapshot.frames} frames",
        f"{rate:.1f} frames/s",
        f"{snapshot.dead} dead",
        f"ETA {eta}",
    ]
    return "  ".join([*parts, note] if note else parts)


def clock(seconds: float) -> str:
    """Write a duration as h:mm:ss or mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
