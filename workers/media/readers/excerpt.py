"""A file that never was: a container's header and one keyframe at its place, for FFmpeg to demux as if it had the whole object."""

from collections.abc import Sequence

from workers.media.readers.seekable import Seekable


class Excerpt(Seekable):
    """A read-only file of a few parts (place, bytes), ascending; what lies between them reads as zeros."""

    def __init__(self, parts: Sequence[tuple[int, bytes]]) -> None:
        super().__init__(parts[-1][0] + len(parts[-1][1]))
        self._parts = parts

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes, and no further than the part or the gap that the position is in."""
        start = self._position
        return self._advance(self._here(start, min(start + size, self.size_bytes)))

    def _here(self, start: int, end: int) -> bytes:
        for begins, part in self._parts:
            if start < begins:
                return bytes(min(end, begins) - start)
            if start < begins + len(part):
                return part[start - begins : end - begins]
        return b""
