"""Where pictures begin in an MPEG transport stream, and when they are decoded: by their packets' headers (ISO/IEC 13818-1) alone."""

from collections.abc import Iterator
from dataclasses import dataclass

from workers.media.child.objectfile import ObjectFile
from workers.media.readers.tables import SYNC, Tables

PREFIX = b"\0\0\1"
STAMP_BYTES = 5
FLAGS_AT, STAMPS_AT = 7, 9
TICKS = 1 << 33
"""Time stamps begin anew after so many ticks of 1/90000 second."""


@dataclass(frozen=True, slots=True)
class Start:
    """A picture's beginning."""

    place: int
    ticks: int
    """When it is decoded."""
    is_key: bool
    """Whether the stream says that decoding can begin here (`random_access_indicator`)."""


def ticks_between(earlier: int, later: int) -> int:
    """How much later one time stamp is than another; negative if it is earlier."""
    return (later - earlier + TICKS // 2) % TICKS - TICKS // 2


class Window:
    """A part of the object that grows at either end, and the beginnings of one stream's pictures in it, ascending."""

    def __init__(self, file: ObjectFile, tables: Tables, pid: int, start: int) -> None:
        self.begins = start
        self.body = b""
        self.starts: list[Start] = []
        self._file = file
        self._tables = tables
        self._pid = pid

    @property
    def ends(self) -> int:
        """Where it ends (exclusive)."""
        return self.begins + len(self.body)

    @property
    def is_last(self) -> bool:
        """Whether it reaches the object's end."""
        return self.ends >= self._file.size_bytes

    @property
    def key(self) -> Start | None:
        """The first picture that the stream says decoding can begin at."""
        return next((start for start in self.starts if start.is_key), None)

    def grow(self, size: int) -> None:
        """Read on by whole packets."""
        length = self._tables.packet_bytes
        end, seen = self.ends + -(-size // length) * length, len(self.body)
        self.body += self._file.at(self.ends, end - self.ends)
        self.starts += self._starts(seen, len(self.body))

    def grow_back(self, size: int, *, least: int) -> None:
        """Read what lies before, by whole packets, and not before `least`."""
        length = self._tables.packet_bytes
        begins = max(least, self.begins - -(-size // length) * length)
        before = self._file.at(begins, self.begins - begins)
        self.begins, self.body = begins, before + self.body
        self.starts = [*self._starts(0, len(before)), *self.starts]

    def follows(self, key: Start) -> bool:
        """Whether another picture begins behind this one."""
        return self.starts[-1].place > key.place

    def _starts(self, low: int, high: int) -> Iterator[Start]:
        length, offset = self._tables.packet_bytes, self._tables.sync_at
        body = self.body
        for at in range(low, high - length + 1, length):
            start = self._start(at, offset) if body[at + offset + 1] & 0x40 else None  # few packets begin anything
            if start is not None:
                yield start

    def _start(self, at: int, offset: int) -> Start | None:
        body, header = self.body, at + offset
        if body[header] != SYNC or int.from_bytes(body[header + 1 : header + 3]) & 0x1FFF != self._pid:
            return None
        packet = body[header : at + self._tables.packet_bytes]
        adapts = packet[3] & 0x20
        payload = packet[5 + packet[4] :] if adapts else packet[4:]
        ticks = _ticks(payload)
        return None if ticks is None else Start(self.begins + at, ticks, bool(adapts and packet[4] and packet[5] & 0x40))


def _ticks(payload: bytes) -> int | None:
    """When the picture at the beginning of this payload is decoded: the last of its one or two time stamps."""
    if not payload.startswith(PREFIX) or len(payload) < STAMPS_AT + 2 * STAMP_BYTES or not payload[FLAGS_AT] & 0x80:
        return None
    at = STAMPS_AT + (STAMP_BYTES if payload[FLAGS_AT] & 0x40 else 0)
    high, middle, low = payload[at] >> 1 & 0x7, int.from_bytes(payload[at + 1 : at + 3]) >> 1, int.from_bytes(payload[at + 3 : at + 5]) >> 1
    return high << 30 | middle << 15 | low
