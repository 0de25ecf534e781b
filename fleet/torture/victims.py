"""The processes that the torture starts, kills, freezes and starts again: workers with their keepers, and the producer."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from broker.embedded import start_child
from workers.blackbox import VARIABLE, Step, steps_in


@dataclass(slots=True)
class Victim:
    """One place for a process, which is taken by one after the other."""

    slot: int
    command: Sequence[str]
    env: Mapping[str, str]
    folder: Path
    """Where its log and its black box lie."""
    kept: bool = False
    """Whether the command is a keeper, and the worker a process below it."""
    starts: int = 0
    started_at: float = 0.0
    frozen: bool = False
    leaving: bool = False
    """Whether it was asked to end by itself."""
    crashed: bool = False
    """Whether its worker was killed, so that only its keeper is left, to tell of it."""
    _process: "subprocess.Popen[bytes] | None" = None
    _worker: int | None = None
    _box: Path | None = None

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"victim-{self.slot}"

    def start(self) -> None:
        """Start the next process here. Call it from the main thread."""
        self.starts, self.frozen, self.leaving, self.crashed, self.started_at = self.starts + 1, False, False, False, time.monotonic()
        self._worker, self._box = None, None if self.kept else self.folder / f"{self.name}-{self.starts}.box"
        own = {} if self._box is None else {VARIABLE: os.fspath(self._box)}  # a keeper makes one of its own
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self._process = start_child(self.command, env={**self.env, **own}, log=log.fileno())

    def meet(self) -> None:
        """Find the worker below its keeper, and what it writes down, unless they are known already."""
        if self._process is None or self._worker is not None or not self.alive:
            return
        if not self.kept:
            self._worker = self._process.pid
        elif len(found := family(self._process.pid)) > 1 and (box := variable_of(found[1], VARIABLE)):
            self._worker, self._box = found[1], Path(box)

    @property
    def up(self) -> bool:
        """Whether its worker runs and may do what it likes."""
        return self.alive and self._worker is not None and not (self.frozen or self.leaving or self.crashed)

    @property
    def alive(self) -> bool:
        """Whether its process is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> int | None:
        """How its last process ended; None while it has not."""
        return None if self._process is None else self._process.poll()

    def steps(self) -> list[Step]:
        """What its process is, or was last, at."""
        return [] if self._box is None else steps_in(self._box)

    def crash(self) -> None:
        """Kill the worker alone: its keeper tells the broker, and ends."""
        self.crashed = True
        if self._worker is not None:
            with suppress(ProcessLookupError):
                os.kill(self._worker, signal.SIGKILL)

    def kill(self) -> None:
        """Kill the process, and by that all below it, which the kernel ends with it: the end of a machine, of which nobody tells."""
        if self.frozen:
            self._signal_all(signal.SIGKILL)  # one that is stopped does not hear that its parent is gone
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Stop the process and all below it."""
        self.frozen = True
        if self._process is not None and self.alive:
            self._process.send_signal(signal.SIGSTOP)  # before it takes time to look for the others
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on as if nothing had been."""
        self.frozen = False
        self._signal_all(signal.SIGCONT)

    def ask_to_leave(self) -> None:
        """Tell the process, alone, to end."""
        self.leaving = True
        if self._process is not None and self.alive:
            self._process.send_signal(signal.SIGTERM)

    def _signal_all(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        for pid in family(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def family(pid: int) -> list[int]:
    """A process and all below it, the eldest first."""
    parents = {int(entry.name): parent_of(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def parent_of(entry: Path) -> int:
    """The parent of a process, by its folder in /proc; 0 if it is gone."""
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def variable_of(pid: int, name: str) -> str:
    """What a process's environment says; empty if it says nothing, or the process is gone."""
    try:
        words = (Path(f"/proc/{pid}/environ")).read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    return next((word.partition("=")[2] for word in words if word.startswith(f"{name}=")), "")
