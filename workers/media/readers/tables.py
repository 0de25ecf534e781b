"""An MPEG transport stream's tables (ISO/IEC 13818-1): which of its packets say what the stream holds."""

from collections.abc import Iterator
from dataclasses import dataclass

from workers.media.child.unusable import UnusableIndexError

SYNC = 0x47
SHAPES = ((0, 188), (4, 192))
"""Offset of the first sync byte and length of a packet: broadcast, and Blu-ray with a time stamp before each."""
PACKET_BYTES = 188
PAT_PID = 0
SECTION_HEADER, SECTION_CHECKSUM = 8, 4


@dataclass(frozen=True, slots=True)
class Tables:
    """The packets that a decoder needs before any others, and how long packets are."""

    packets: bytes
    packet_bytes: int
    sync_at: int
    """Where in a packet its sync byte is."""


def shape_of(head: bytes) -> tuple[int, int] | None:
    """Say where in a packet its sync byte is, and how long a packet is; None if this is no transport stream."""
    for offset, length in SHAPES:
        syncs = head[offset : offset + 4 * length : length]
        if len(syncs) > 1 and set(syncs) == {SYNC}:
            return offset, length
    return None


def tables_of(head: bytes) -> Tables:
    """Find the tables of a stream with one program.

    Raises:
        UnusableIndexError: the stream does not begin with short tables of one program.
    """
    shape = shape_of(head)
    if shape is None:
        raise UnusableIndexError("This is no transport stream.")
    offset, length = shape
    packets = [head[start : start + length] for start in range(0, len(head) - length + 1, length)]
    pat = _first(packets, offset, PAT_PID)
    section = _section(pat[offset:])
    programs = [section[at : at + 4] for at in range(SECTION_HEADER, len(section) - SECTION_CHECKSUM, 4)]
    maps = [int.from_bytes(program[2:]) & 0x1FFF for program in programs if program[:2] != b"\0\0"]
    if len(maps) != 1:
        raise UnusableIndexError("The stream has not one program.")
    pmt = _first(packets, offset, maps[0])
    _section(pmt[offset:])
    return Tables(pat + pmt, length, offset)


def _first(packets: list[bytes], offset: int, pid: int) -> bytes:
    found = next(_starting(packets, offset, pid), None)
    if found is None:
        raise UnusableIndexError("The stream does not begin with its tables.")
    return found


def _starting(packets: list[bytes], offset: int, pid: int) -> Iterator[bytes]:
    for packet in packets:
        header = packet[offset : offset + 4]
        if header[0] == SYNC and header[1] & 0x40 and int.from_bytes(header[1:3]) & 0x1FFF == pid:
            yield packet


def _section(packet: bytes) -> bytes:
    """The table in a packet, its checksum included."""
    payload = 4 if not packet[3] & 0x20 else 5 + packet[4]
    begins = payload + 1 + packet[payload] if payload < PACKET_BYTES else PACKET_BYTES
    ends = begins + 3 + (int.from_bytes(packet[begins + 1 : begins + 3]) & 0x0FFF)
    if begins + SECTION_HEADER > PACKET_BYTES or ends > PACKET_BYTES:
        raise UnusableIndexError("A table takes more than one packet.")
    return packet[begins:ends]
