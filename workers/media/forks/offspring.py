"""One decoding child, as its parent holds it."""

import contextlib
import os
import select
import signal
import socket
import struct
from collections.abc import Callable
from typing import Self

from workers.media.forks.requests import FORK
from workers.media.forks.sharedmemory import SharedMemory
from workers.media.forks.wires import wire

START_SECONDS = 60
"""Patience with a zygote that still imports, on a machine that is short of everything."""
REAP_SECONDS = 20


class ForkServerDiedError(Exception):
    """The fork server is gone, and its children with it: nothing is said about the video."""


class Child:
    """One forked child, as its parent holds it: a conversation, a shared memory, and a pidfd to kill it by."""

    def __init__(
        self,
        memory: SharedMemory,
        *,
        put_back: Callable[[SharedMemory], None],
        mourn: Callable[[int | None], None],
        rest: "Callable[[Child], None] | None" = None,
    ) -> None:
        self.memory = memory
        self.may_rest = False
        """Whether it ended its video well and can take another."""
        self._rest = rest
        self._put_back = put_back
        self._mourn = mourn
        self._pidfd = -1
        self._status: int | None = None
        self.conversation, self._far_end = wire()
        self._obituary, self._far_obituary = wire()

    def request(self, control: socket.socket) -> None:
        """Ask the zygote for a process to stand behind this child.

        Raises:
            ForkServerDiedError: there is nobody to ask.
        """
        try:
            socket.send_fds(control, [FORK], [self._far_end.fileno(), self.memory.descriptor, self._far_obituary.fileno()])
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

    def waits(self) -> bool:
        """Whether the process is there and has nothing to say."""
        poll = select.poll()  # select(2) knows no descriptor beyond 1023, and a worker may have more
        poll.register(self.conversation, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Have the process rest where it may, else end it."""
        if self._rest is not None and self.may_rest:
            self.may_rest = False
            self._rest(self)
        else:
            self.end()

    def end(self) -> None:
        """Kill the process if it lives, and let go of everything shared with it."""
        self.conversation.close()
        if self._pidfd >= 0:
            self.kill()
            self.reap()
            os.close(self._pidfd)
            self._mourn(self._status)
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
        """Have the process rest where it may, else end it."""
        self.close()
