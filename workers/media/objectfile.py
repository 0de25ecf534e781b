"""The object as PyAV reads it: a file whose bytes the parent fetches."""

import errno
import io
from collections.abc import Callable

HEAD_BYTES = 64 * 1024


class ObjectFile:
    """A read-only file over ranges, without a buffer of its own but for its head and one range fetched ahead."""

    def __init__(self, fetch: Callable[[int, int], bytes], size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.overran = False
        """Whether bytes past the object's end were wanted: the file is cut."""
        self._fetch = fetch
        self._position = 0
        self._sparse = False
        self._held: list[tuple[int, bytes]] = [(0, fetch(0, min(size_bytes, HEAD_BYTES)))]

    @property
    def head(self) -> bytes:
        """The object's first bytes."""
        return self._held[0][1]

    def hold(self, start: int, end: int) -> None:
        """Fetch exactly this range ahead, in place of the one held before; from now on the file ends at every hole.

        Only the way up to what is held is still read, since FFmpeg reads over a short gap rather than seek.
        """
        self._sparse = True
        self._held[1:] = [(start, self.at(start, end - start))]

    def readable(self) -> bool:
        """Say that this is for reading."""
        return True

    def seekable(self) -> bool:
        """Say that any place can be read."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, past the end too, as files allow."""
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size_bytes}[whence]
        if position < 0:
            raise OSError(errno.EINVAL, "a seek before the beginning")
        self._position = position
        self.overran = self.overran or self._position > self.size_bytes
        return self._position

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes; held ranges are read to their end at most, so that nothing is fetched twice."""
        start, end = self._position, min(self._position + size, self.size_bytes)
        if start >= end:
            return b""
        for held_at, held in self._held:
            if held_at <= start < held_at + len(held):
                return self._advance(held[start - held_at : end - held_at])
            if start < held_at < end:
                return self._advance(self._fetch(start, held_at))
        if self._sparse:
            return b""
        return self._advance(self._fetch(start, end))

    def at(self, start: int, size: int) -> bytes:
        """Read `size` bytes (fewer at the object's end) of one place, apart from the position."""
        if start + size <= len(self.head):
            return self.head[start : start + size]
        end = min(start + size, self.size_bytes)
        return self._fetch(start, end) if start < end else b""

    def _advance(self, body: bytes) -> bytes:
        self._position += len(body)
        return body
