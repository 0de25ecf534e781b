"""A file that never was: a container's header and one keyframe at its place, for FFmpeg to demux as if it had the whole object."""

import errno
import io
from collections.abc import Sequence


class Excerpt:
    """A read-only file of a few parts (place, bytes), ascending; what lies between them reads as zeros."""

    def __init__(self, parts: Sequence[tuple[int, bytes]]) -> None:
        self._parts = parts
        self._size = parts[-1][0] + len(parts[-1][1])
        self._position = 0

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
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if position < 0:
            raise OSError(errno.EINVAL, "a seek before the beginning")
        self._position = position
        return position

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes, and no further than the part or the gap that the position is in."""
        start = self._position
        body = self._here(start, min(start + size, self._size))
        self._position += len(body)
        return body

    def _here(self, start: int, end: int) -> bytes:
        for begins, part in self._parts:
            if start < begins:
                return bytes(min(end, begins) - start)
            if start < begins + len(part):
                return part[start - begins : end - begins]
        return b""
