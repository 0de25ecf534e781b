"""Short looks at many places of an object: a look takes a little more along, since the next is often beside it."""

from bisect import bisect_right
from collections.abc import Iterable

from workers.media.child.objectfile import ObjectFile


class Places:
    """Reads an object in looks of a certain length, and remembers the last one.

    A look a little behind the last one is twice as long, up to `longest_bytes`: who goes on from block to block shall not need a request
    for each.
    """

    def __init__(self, file: ObjectFile, *, look_bytes: int, longest_bytes: int = 0) -> None:
        self.file = file
        self._look_bytes = look_bytes
        self._longest_bytes = max(look_bytes, longest_bytes)
        self._length = look_bytes
        self._planned: list[int] = []
        self._begins = 0
        self._seen = b""

    def plan(self, starts: Iterable[int]) -> None:
        """Announce where the next looks will go."""
        self._planned = sorted({start for start in starts if 0 <= start < self.file.size_bytes})
        self.file.plan([(start, min(start + self._look_bytes, self.file.size_bytes)) for start in self._planned])

    def at(self, start: int, size: int) -> bytes:
        """Read `size` bytes (fewer at the object's end) of one place."""
        if not self._begins <= start <= start + size <= self._begins + len(self._seen):
            begins = self._planned_look(start, size)
            goes_on = begins is None and 0 <= start - self._begins - len(self._seen) < self._longest_bytes - self._look_bytes
            self._length = min(2 * self._length, self._longest_bytes) if goes_on else self._look_bytes
            self._begins = start if begins is None else begins
            self._seen = self.file.at(self._begins, max(start + size - self._begins, self._length))
        return self._seen[start - self._begins : start - self._begins + size]

    def seen_from(self, start: int) -> bytes:
        """All that the last look brought from a place on."""
        return self._seen[start - self._begins :] if self._begins <= start else b""

    def _planned_look(self, start: int, size: int) -> int | None:
        """Where the planned look begins that a place lies in, so that it is read as it was announced."""
        before = bisect_right(self._planned, start) - 1
        if before >= 0 and start + size <= self._planned[before] + self._look_bytes:
            return self._planned[before]
        return None
