"""The parent's side of the fork server: starts the zygote, and has it fork a child for each video."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar, cast

from schemas.errors import FatalError
from workers.media.forks.offspring import REAP_SECONDS, START_SECONDS, Child, ForkServerDiedError
from workers.media.forks.requests import RETIRE
from workers.media.forks.sharedmemory import SharedMemory
from workers.media.forks.wires import wire
from workers.media.lock import kernel
from workers.media.lock.layers import Layers

log = logging.getLogger(__name__)
T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[3]
BOOT = (
    "import sys; _, root, control, *words = sys.argv; sys.path.insert(0, root); "
    "from {module} import main; main(int(control), enforced='unlocked' not in words, reused='reused' in words)"
)
ZYGOTE = "workers.media.child.zygote"
STARTS = 3
LONGEST_HELLO = 8192
LAST_WORDS_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Wear:
    """What wears a zygote out: its children have everything at the same addresses, so that one can learn for the next."""

    children: int = 10_000
    signals: frozenset[int] = frozenset({signal.SIGSYS, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL})
    """Ends of a child that may have been an attack."""


class Zygote:
    """The fork server's process, with an empty environment and one descriptor, whose closing (whatever ends this process) ends it."""

    def __init__(self, module: str, *, words: Sequence[str], wear: Wear) -> None:
        self.worn = False
        """Whether another shall take its place."""
        self._wear = wear
        self._forked = 0
        self._layers: Layers | None = None
        self.control, far = wire()
        with far:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", BOOT.format(module=module), str(ROOT), str(far.fileno()), *words],
                env={},
                cwd="/",
                close_fds=True,
                pass_fds=[far.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )

    def layers(self) -> Layers:
        """Wait until it is ready, and say which layers its children are locked by.

        Raises:
            ForkServerDiedError: it died before it was ready.
        """
        if self._layers is None:
            try:
                self.control.settimeout(START_SECONDS)
                hello = self.control.recv(LONGEST_HELLO)
            except OSError as error:
                raise ForkServerDiedError from error
            if not hello:
                raise ForkServerDiedError
            self._layers = Layers.from_json(hello)
        return self._layers

    def fork(self, child: Child) -> None:
        """Have a process forked to stand behind a child.

        Raises:
            ForkServerDiedError: there is nobody to do it.
        """
        child.request(self.control)
        self._forked += 1
        self.worn = self.worn or self._forked >= self._wear.children

    def mourn(self, status: int | None) -> None:
        """Take note of how a child ended."""
        self.worn = self.worn or (status is not None and os.WIFSIGNALED(status) and os.WTERMSIG(status) in self._wear.signals)

    def retire(self) -> None:
        """Let it end with its last child."""
        with contextlib.suppress(OSError):
            self.control.send(RETIRE)

    def has_ended(self) -> bool:
        """Whether the process is no more."""
        return self._process.poll() is not None

    def end(self) -> str:
        """End the process and its children; returns the last of what it wrote to its standard error."""
        self.control.close()
        try:
            self._process.wait(REAP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with cast("IO[bytes]", self._process.stderr) as stderr:
            os.set_blocking(stderr.fileno(), False)
            return (stderr.read() or b"")[-LAST_WORDS_BYTES:].decode(errors="replace")


class ForkServer:
    """The zygote, started again when it dies and replaced when it is worn. Safe from many threads.

    From now on this process is hidden from others of its user, its own children first of all: they hold no secret, but it does.
    """

    def __init__(self, *, unlocked: bool = False, reused: bool = False, module: str = ZYGOTE, wear: Wear = Wear()) -> None:
        """Start a zygote. Where children are `reused`, one that ended a video well gets another: for trusted sources alone."""
        kernel.hide()
        self._reused = reused
        self._resting: list[Child] = []
        self._wear = wear
        self._unlocked = unlocked
        self._module = module
        self._warned = False
        self._lock = threading.Lock()
        self._idle: list[SharedMemory] = []
        self._retired: list[Zygote] = []
        self._zygote: Zygote | None = self._start()

    def layers(self) -> Layers:
        """Wait until the zygote is ready, and say which layers children are locked by.

        Raises:
            FatalError: no zygote can be started here, a required layer cannot be had, or the server is closed.
        """
        with self._lock:
            return self._with_zygote(self._accepted)

    def fork(self, *, memory_size: int) -> Child:
        """Have a child forked.

        Raises:
            FatalError: no zygote can be started here, a required layer cannot be had, or the server is closed.
        """
        with self._lock:
            self._sweep()
            return self._rested(memory_size) or self._with_zygote(lambda zygote: self._fork(zygote, memory_size))

    def close(self) -> None:
        """End the zygote, and with it every child."""
        with self._lock:
            if self._zygote is not None:
                self._retired.append(self._zygote)
            self._zygote = None
            while self._resting:
                self._resting.pop().end()
            while self._retired:
                self._retired.pop().end()
            while self._idle:
                self._idle.pop().close()

    def _start(self) -> Zygote:
        words = ["unlocked"] * self._unlocked + ["reused"] * self._reused
        return Zygote(self._module, words=words, wear=self._wear)

    def _with_zygote(self, use: Callable[[Zygote], T]) -> T:
        last_words = ""
        for _ in range(STARTS):
            if self._zygote is None:
                raise FatalError("The decoder is closed.")
            try:
                return use(self._zygote)
            except ForkServerDiedError:
                last_words = self._zygote.end()
                self._zygote = self._start()
        raise FatalError(f"The decoder's fork server died {STARTS} times in a row before it could fork. {last_words}")

    def _fork(self, zygote: Zygote, memory_size: int) -> Child:
        self._accepted(zygote)
        rest = self._resting.append if self._reused else None
        child = Child(self._memory(memory_size), put_back=self._idle.append, mourn=zygote.mourn, rest=rest)
        try:
            zygote.fork(child)
        except ForkServerDiedError:
            child.close()
            raise
        return child

    def _accepted(self, zygote: Zygote) -> Layers:
        layers = zygote.layers()
        if layers.lacking and not self._unlocked:
            raise FatalError(layers.refusal)
        if layers.lacking and not self._warned:
            log.warning("untrusted videos are decoded without %s, as FRAMEFLEET_DECODER_UNLOCKED allows", ", ".join(layers.lacking))
            self._warned = True
        return layers

    def _sweep(self) -> None:
        """Retire a worn zygote, whose children live on, and bury those that have ended."""
        if self._zygote is not None and self._zygote.worn:
            self._zygote.retire()
            self._retired.append(self._zygote)
            self._zygote = self._start()
        for zygote in [one for one in self._retired if one.has_ended()]:
            self._retired.remove(zygote)
            zygote.end()

    def _rested(self, memory_size: int) -> Child | None:
        """A child that waits for another video, and lives; others make room."""
        while self._resting:
            child = self._resting.pop()
            if child.memory.size_bytes == memory_size and child.waits():
                return child
            child.end()
        return None

    def _memory(self, size_bytes: int) -> SharedMemory:
        """Memory that no child writes to any more, or a new one. Recipes differ in size; other sizes make room."""
        while self._idle:
            memory = self._idle.pop()
            if memory.size_bytes == size_bytes:
                return memory
            memory.close()
        return SharedMemory(size_bytes)
