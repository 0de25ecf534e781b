"""The parent's side of the fork server: starts the zygote, and has it fork a child for each video."""

import contextlib
import fcntl
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self, cast

import numpy as np
import numpy.typing as npt

from schemas.errors import FatalError

ROOT = Path(__file__).resolve().parents[2]
BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from workers.media.zygote import main; main(int(sys.argv[2]))"
START_SECONDS = 60
"""Patience with a zygote that still imports, on a machine that is short of everything."""
REAP_SECONDS = 20
STARTS = 3
LAST_WORDS_BYTES = 2000
SEALS = fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW


class ForkServerDiedError(Exception):
    """The fork server is gone, and its children with it: nothing is said about the video."""


class SharedMemory:
    """What a child and its parent have mapped, by its wire. It outlives the child: fresh pages cost more than what is copied."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.descriptor = os.memfd_create("pictures", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, size_bytes)
        fcntl.fcntl(self.descriptor, *SEALS)  # a file that shrank under the mapping would kill this process by SIGBUS
        self._mapped = mmap.mmap(self.descriptor, size_bytes)

    def put(self, body: bytes | memoryview) -> None:
        """Lay bytes into the inbox."""
        self._mapped[: len(body)] = body

    def pixels(self, start: int, *, width: int, height: int) -> npt.NDArray[np.uint8]:
        """View a picture, of shape (height, width, 3). The child can change it still: read each pixel once, then free its slot.

        Raises:
            ValueError: it would not lie within the memory.
        """
        return np.frombuffer(self._mapped, np.uint8, width * height * 3, start).reshape(height, width, 3)

    def close(self) -> None:
        """Give the memory back."""
        self._mapped.close()
        os.close(self.descriptor)


class Child:
    """One forked child, as its parent holds it: a conversation, a shared memory, and a pidfd to kill it by."""

    def __init__(self, memory: SharedMemory, *, put_back: Callable[[SharedMemory], None]) -> None:
        self.memory = memory
        self._put_back = put_back
        self._pidfd = -1
        self._status: int | None = None
        self.conversation, self._far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._obituary, self._far_obituary = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def request(self, control: socket.socket) -> None:
        """Ask the zygote for a process to stand behind this child.

        Raises:
            ForkServerDiedError: there is nobody to ask.
        """
        try:
            socket.send_fds(control, [b"F"], [self._far_end.fileno(), self.memory.descriptor, self._far_obituary.fileno()])
            self._far_end.close()
            self._far_obituary.close()
            self._obituary.settimeout(START_SECONDS)
            fresh, descriptors, _, _ = socket.recv_fds(self._obituary, 1, 1)
        except OSError as error:
            raise ForkServerDiedError from error
        if not fresh or not descriptors:
            raise ForkServerDiedError
        self._pidfd = descriptors[0]

    def kill(self) -> None:
        """End the process, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def reap(self) -> int | None:
        """Wait until the process has ended and is no zombie; its wait status, or None where the zygote died before it could tell."""
        if self._status is None:
            self._obituary.settimeout(REAP_SECONDS)
            with contextlib.suppress(OSError, struct.error):
                (self._status,) = struct.unpack("<i", self._obituary.recv(4))
        return self._status

    def close(self) -> None:
        """Kill the process if it lives, and let go of everything shared with it."""
        self.conversation.close()
        if self._pidfd >= 0:
            self.kill()
            self.reap()
            os.close(self._pidfd)
        for end in (self._far_end, self._far_obituary, self._obituary):
            end.close()
        if self._status is None:  # nobody saw the process end, so nobody knows who writes there
            self.memory.close()
        else:
            self._put_back(self.memory)

    def __enter__(self) -> Self:
        """Let go at the end of a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the process if it lives, and let go of everything shared with it."""
        self.close()


class Zygote:
    """The fork server's process, with an empty environment and one descriptor, whose closing (whatever ends this process) ends it."""

    def __init__(self) -> None:
        self.control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", BOOT, str(ROOT), str(far.fileno())],
                env={},
                cwd="/",
                close_fds=True,
                pass_fds=[far.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )

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
    """The zygote, started again when it dies. Safe from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[SharedMemory] = []
        self._zygote: Zygote | None = Zygote()

    def fork(self, *, memory_size: int) -> Child:
        """Have a child forked.

        Raises:
            FatalError: no zygote can be started here, or the server is closed.
        """
        last_words = ""
        with self._lock:
            for _ in range(STARTS):
                if self._zygote is None:
                    raise FatalError("The decoder is closed.")
                child = Child(self._memory(memory_size), put_back=self._idle.append)
                try:
                    child.request(self._zygote.control)
                except ForkServerDiedError:
                    child.close()
                    last_words = self._zygote.end()
                    self._zygote = Zygote()
                else:
                    return child
        raise FatalError(f"The decoder's fork server died {STARTS} times in a row before it could fork. {last_words}")

    def close(self) -> None:
        """End the zygote, and with it every child."""
        with self._lock:
            if self._zygote is not None:
                self._zygote.end()
            self._zygote = None
            while self._idle:
                self._idle.pop().close()

    def _memory(self, size_bytes: int) -> SharedMemory:
        """Memory that no child writes to any more, or a new one. Recipes differ in size; other sizes make room."""
        while self._idle:
            memory = self._idle.pop()
            if memory.size_bytes == size_bytes:
                return memory
            memory.close()
        return SharedMemory(size_bytes)
