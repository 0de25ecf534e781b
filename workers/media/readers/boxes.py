"""Boxes, of which MP4 and MOV files are made (ISO/IEC 14496-12): a size, a kind and contents.

Everything here is bounded by the bytes it is given: a size that lies ends the walk, and allocates nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from workers.media.child.unusable import UnusableIndexError

HEADER_BYTES = 16
"""The longest header: one with a size of eight bytes."""
SMALLEST_HEADER = 8


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box starts, where its contents begin, and where both end."""

    kind: bytes
    starts: int
    begins: int
    ends: int


def box(header: bytes, *, base: int, limit: int) -> Box | None:
    """Read the box that `header` begins with, which lies at `base` of what ends at `limit`; None at the end or where there is no sense."""
    if len(header) < SMALLEST_HEADER:
        return None
    size, kind, length = int.from_bytes(header[:4]), header[4:8], SMALLEST_HEADER
    if size == 1:
        size, length = int.from_bytes(header[8:16]), HEADER_BYTES
    if size == 0:
        size = limit - base
    return Box(kind, base, base + length, base + size) if size >= length else None


def children(body: bytes, begins: int, ends: int) -> Iterator[Box]:
    """Walk the boxes that lie side by side in a body.

    Raises:
        UnusableIndexError: one is broken, or reaches over the end.
    """
    while begins < ends:
        child = box(body[begins : min(begins + HEADER_BYTES, ends)], base=begins, limit=ends)
        if child is None or child.ends > ends:
            raise UnusableIndexError("A box is broken.")
        yield child
        begins = child.ends


def inner(body: bytes, outer: Box, *path: bytes) -> Box:
    """Follow a path of kinds down from a box.

    Raises:
        UnusableIndexError: it leads nowhere.
    """
    for kind in path:
        found = next((child for child in children(body, outer.begins, outer.ends) if child.kind == kind), None)
        if found is None:
            raise UnusableIndexError(f"There is no {kind.decode()} box where one should be.")
        outer = found
    return outer


class Fields:
    """Reads a box's fields one after another.

    Raises:
        UnusableIndexError: the box is too short for them.
    """

    def __init__(self, body: bytes, one: Box) -> None:
        self._body = body
        self._position = one.begins
        self._ends = one.ends
        self.version = self.take(1)
        self.flags = self.take(3)

    def raw(self, size: int) -> bytes:
        """Take so many bytes."""
        if self._ends - self._position < size:
            raise UnusableIndexError("A box is too short for what it says.")
        self._position += size
        return self._body[self._position - size : self._position]

    def take(self, size: int, *, signed: bool = False) -> int:
        """Read an integer of so many bytes."""
        return int.from_bytes(self.raw(size), signed=signed)

    def take_if(self, flag: int, size: int, otherwise: int) -> int:
        """Read an integer that is there if the box's flags say so."""
        return self.take(size) if self.flags & flag else otherwise

    def wide(self) -> int:
        """Read an integer that has eight bytes from version 1 of the box on, and four before."""
        return self.take(8 if self.version else 4)
