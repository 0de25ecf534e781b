"""The object as PyAV reads it: a file whose bytes the parent fetches."""

import io
from collections import deque
from collections.abc import Callable, Sequence

from workers.media.costs import Range
from workers.media.readers.seekable import Seekable
from workers.media.wire import INBOX_BYTES

Bytes = bytes | memoryview
HEAD_BYTES = 64 * 1024
TAIL_BYTES = 64 * 1024
"""A look so near the object's end takes the rest along."""
BATCH_BYTES = INBOX_BYTES
BATCH_RANGES = 8
"""How much is fetched at once of what is planned: fewer turns between two processes."""


class ObjectFile(Seekable):
    """A read-only file over ranges, without a buffer of its own but for its head, its tail, its index and a few ranges fetched ahead.

    `fetch_all` fetches several ranges at once, into memory that its next call takes; `announce` hears what will be read, before it is.
    """

    def __init__(
        self,
        fetch: Callable[[int, int], bytes],
        size_bytes: int,
        *,
        fetch_all: Callable[[Sequence[Range]], Sequence[Bytes]] | None = None,
        announce: Callable[[Sequence[Range]], None] = lambda _: None,
    ) -> None:
        super().__init__(size_bytes)
        self.overran = False
        """Whether bytes past the object's end were wanted: the file is cut."""
        self._fetch = fetch
        self._fetch_all = fetch_all or (lambda ranges: [fetch(start, end) for start, end in ranges])
        self._announce = announce
        self._sparse = False
        self._head = (0, fetch(0, min(size_bytes, HEAD_BYTES)))
        self._tail = (size_bytes, b"")
        self._index = (0, b"")
        self._ahead: tuple[int, Bytes] = (0, b"")
        self._planned: deque[Range] = deque()
        self._batch: dict[Range, Bytes] = {}
        self._batch_ranges = 1

    @property
    def head(self) -> bytes:
        """The object's first bytes."""
        return self._head[1]

    def plan(self, ranges: Sequence[Range]) -> None:
        """Announce which bytes will be read next, from starts to ends (exclusive), in this order; what is held is left out."""
        self._planned = deque((start, end) for start, end in ranges if 0 <= start < end <= self.size_bytes)
        beyond = [(max(start, len(self.head)), min(end, self._tail[0])) for start, end in ranges]
        if wanted := [(start, end) for start, end in beyond if start < end]:
            self._announce(wanted)

    def keep(self, start: int, end: int) -> None:
        """Fetch the container's index and keep it."""
        if not self._held(start, end):
            self.plan([(start, end)])
            self._index = (start, self._fetch(start, end))

    def end_at_holes(self) -> None:
        """Have the file end where nothing is held, from now on.

        Only the way up to what is held is still read, since FFmpeg reads over a short gap rather than seek.
        """
        self._sparse = True

    def hold(self, start: int, end: int) -> None:
        """Have exactly this range at hand, in place of the one before. If it must be fetched, so is what is planned behind it."""
        if not (self._ahead[0] == start and len(self._ahead[1]) == end - start):
            wanted = (start, min(end, self.size_bytes))
            self._ahead = (start, self._held(start, end) or self._batch.pop(wanted, b"") or self._fetched(wanted))

    def _fetched(self, wanted: Range) -> Bytes:
        """Fetch a range and the planned ones behind it: none at first, so that it comes at once, and twice as many each time."""
        ranges, left = [wanted], BATCH_BYTES - (wanted[1] - wanted[0])
        if wanted in self._planned:
            while self._planned.popleft() != wanted:
                pass
            while self._planned and len(ranges) < self._batch_ranges and (left := left - (self._planned[0][1] - self._planned[0][0])) >= 0:
                ranges.append(self._planned.popleft())
            self._batch_ranges = min(2 * self._batch_ranges, BATCH_RANGES)
        bodies = self._fetch_all(ranges)
        self._batch = dict(zip(ranges[1:], bodies[1:], strict=True))
        return bodies[0]

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, past the end too, which is remembered."""
        position = super().seek(offset, whence)
        self.overran = self.overran or position > self.size_bytes
        return position

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes; held ranges are read to their end at most, so that nothing is fetched twice."""
        start, end = self._position, min(self._position + size, self.size_bytes)
        if start >= end:
            return b""
        held = (self._head, self._ahead, self._index, self._tail)
        for held_at, body in held:
            if held_at <= start < held_at + len(body):
                return self._advance(bytes(body[start - held_at : end - held_at]))
        following = [held_at for held_at, body in held if body and start < held_at < end]
        if following:
            return self._advance(self._fetch(start, min(following)))
        if self._sparse:
            return b""
        return self._advance(self._fetch(start, end))

    def at(self, start: int, size: int) -> bytes:
        """Read `size` bytes (fewer at the object's end) of one place, apart from the position."""
        end = min(start + size, self.size_bytes)
        if start >= end:
            return b""
        if start > len(self.head) and not self._tail[1] and self.size_bytes - start <= TAIL_BYTES:
            self._announce([(start, self.size_bytes)])
            self._tail = (start, self._fetch(start, self.size_bytes))
        return self._held(start, end) or self._fetch(start, end)

    def _held(self, start: int, end: int) -> bytes:
        """What is held of the head, the tail or the index; nothing if it is not there from start to end."""
        for held_at, body in (self._head, self._tail, self._index):
            if held_at <= start and end <= held_at + len(body):
                return body[start - held_at : end - held_at]
        return b""
