"""The child's end of the conversation."""

import json
import os
import socket

from workers.media.wire import BYTES_TAG, CHUNK, LENGTH_BYTES, MAX_READ, SLOTS, Job


class Channel:
    """Asks the parent for bytes and tells it what was found. Where the parent is gone, so is the child."""

    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._free = list(range(SLOTS))

    def job(self) -> Job:
        """Take the parent's orders."""
        length = int.from_bytes(self._gather(LENGTH_BYTES))
        return Job.from_json(self._gather(length))

    def read(self, start: int, end: int) -> bytes:
        """Read bytes `start` to `end` (exclusive) of the object."""
        pieces = []
        for low in range(start, end, MAX_READ):
            high = min(end, low + MAX_READ)
            self.say("read", start=low, end=high)
            pieces.append(self._gather(high - low))
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    def slot(self) -> int:
        """Take a free slot; waits while the consumer holds all of them."""
        while not self._free:
            self._receive(memoryview(bytearray(CHUNK)))
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
            self._receive(memoryview(bytearray(CHUNK)))

    def _gather(self, size_bytes: int) -> bytearray:
        body = bytearray(size_bytes)
        view = memoryview(body)
        while view:
            view = view[self._receive(view) :]
        return body

    def _receive(self, into: memoryview) -> int:
        """Take one packet: bytes go `into` the buffer, a freed slot to its list. Returns the number of bytes."""
        tag = bytearray(1)
        try:
            size, _, _, _ = self._wire.recvmsg_into([tag, into])
        except OSError:
            size = 0
        if size == 0:
            os._exit(0)
        if tag[0] == BYTES_TAG:
            return size - 1
        self._free.append(tag[0])
        return 0
