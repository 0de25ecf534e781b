"""EBML (RFC 8794), as far as finding Matroska's index takes: elements are an id, a size and their contents.

Everything here is bounded by the bytes it is given: a size that lies ends the walk, and allocates nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from workers.media.child.unusable import UnusableIndexError

LONGEST_HEADER = 12
"""An id of four bytes and a size of eight."""
LONGEST_ID = 4
LONGEST_INTEGER = 8


@dataclass(frozen=True, slots=True)
class Element:
    """Where an element starts and where its contents lie; their end is None where the size is unknown."""

    identity: int
    starts: int
    begins: int
    ends: int | None

    @property
    def known_end(self) -> int:
        """The end of an element that must not be open-ended.

        Raises:
            UnusableIndexError: it is.
        """
        if self.ends is None:
            raise UnusableIndexError("An element has no size.")
        return self.ends


def element(header: bytes, *, base: int) -> Element:
    """Read the element that `header` begins with; `base` is where that lies in the file.

    Raises:
        UnusableIndexError: there is none.
    """
    identity, after_id = vint(header, 0, keep_marker=True)
    size, begins = vint(header, after_id, keep_marker=False)
    if not identity or after_id > LONGEST_ID or begins > len(header):
        raise UnusableIndexError("There is no element where one should be.")
    unknown = size == (1 << 7 * (begins - after_id)) - 1
    return Element(identity, base, base + begins, None if unknown else base + begins + size)


def children(body: bytes, begins: int = 0, ends: int | None = None) -> Iterator[Element]:
    """Walk the elements that lie side by side in a body.

    Raises:
        UnusableIndexError: one is broken, or reaches over the end.
    """
    ends = len(body) if ends is None else ends
    while begins < ends:
        child = element(body[begins : min(begins + LONGEST_HEADER, ends)], base=begins)
        if child.known_end > ends:
            raise UnusableIndexError("An element reaches over the end of the one it lies in.")
        yield child
        begins = child.known_end


def unsigned(body: bytes, one: Element) -> int:
    """Read an unsigned integer.

    Raises:
        UnusableIndexError: it is longer than integers are.
    """
    if one.known_end - one.begins > LONGEST_INTEGER:
        raise UnusableIndexError("An integer is too long.")
    return int.from_bytes(body[one.begins : one.known_end])


def vint(body: bytes, position: int, *, keep_marker: bool) -> tuple[int, int]:
    """Read an integer of variable length, and say where it ends: leading zero bits of the first byte tell how many bytes follow."""
    first = body[position] if position < len(body) else 0
    length = 9 - first.bit_length()
    number = int.from_bytes(body[position : position + length])
    return number if keep_marker else number & ((1 << 7 * length) - 1), position + length


def written(identity: int, contents: bytes) -> bytes:
    """Write an element, its size in eight bytes."""
    return identity.to_bytes((identity.bit_length() + 7) // 8) + (1 << 56 | len(contents)).to_bytes(8) + contents
