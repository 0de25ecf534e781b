"""The child's end of the conversation."""

import itertools
import json
import mmap
import os
import socket
from collections.abc import Sequence

from workers.media.costs import Range
from workers.media.wire import INBOX_BYTES, LENGTH, MOST_PLANNED, SLOTS, Job


class Channel:
    """Asks the parent for bytes and tells it what was found. Where the parent is gone, so is the child."""

    def __init__(self, wire: socket.socket, memory_descriptor: int) -> None:
        self._wire = wire
        self.memory = mmap.mmap(memory_descriptor, 0)
        self._free = list(range(SLOTS))

    def job(self) -> Job:
        """Take the parent's orders."""
        return Job.from_json(bytes(self._inbox()))

    def read(self, start: int, end: int) -> bytes:
        """Read bytes `start` to `end` (exclusive) of the object."""
        pieces = [bytes(self._read([(low, min(end, low + INBOX_BYTES))])) for low in range(start, end, INBOX_BYTES)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_all(self, ranges: Sequence[Range]) -> Sequence[bytes | memoryview]:
        """Read several ranges in one turn, if they fit into one inbox."""
        ends = list(itertools.accumulate(end - start for start, end in ranges))
        if len(ranges) == 1 or ends[-1] > INBOX_BYTES:
            return [self.read(start, end) for start, end in ranges]
        shelf = memoryview(bytes(self._read(ranges)))
        return [shelf[start:end] for start, end in itertools.pairwise([0, *ends])]

    def plan(self, ranges: Sequence[Range]) -> None:
        """Announce what will be read next, from starts to ends (exclusive), in this order."""
        for first in range(0, len(ranges), MOST_PLANNED):
            self.say("plan", ranges=ranges[first : first + MOST_PLANNED])

    def slot(self) -> int:
        """Take a free slot; waits while the consumer holds all of them."""
        while not self._free:
            self._receive()
        return self._free.pop()

    def say(self, kind: str, **fields: object) -> None:
        """Send one message."""
        try:
            self._wire.send(json.dumps({"kind": kind, **fields}).encode())
        except OSError:
            os._exit(1)

    def wait_for_goodbye(self) -> None:
        """Linger until the parent has read everything and hangs up."""
        while True:
            self._receive()

    def _read(self, ranges: Sequence[Range]) -> memoryview:
        self.say("read", ranges=ranges)
        return self._inbox()

    def _inbox(self) -> memoryview:
        """Wait for what comes; it lies there until something else is asked for."""
        while (length := self._receive()) is None:
            pass
        return memoryview(self.memory)[:length]

    def _receive(self) -> int | None:
        """Take one packet: returns how many bytes lie in the inbox, or notes a freed slot."""
        try:
            packet = self._wire.recv(LENGTH.size)
        except ConnectionError:
            packet = b""
        if not packet:
            os._exit(0)
        if len(packet) == LENGTH.size:
            return int(LENGTH.unpack(packet)[0])
        self._free.append(packet[0])
        return None
