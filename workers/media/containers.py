"""What kind of container the bytes are, told by their magic alone and never by a name."""

from schemas.reasons import Reason
from workers.media.objectfile import ObjectFile
from workers.media.unreadable import UnreadableError

MOV_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"moof", b"sidx")
ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
TS_PACKETS = ((0, 188), (4, 192))
"""Offset of the first sync byte and length of a packet: broadcast, and Blu-ray with a time stamp before each."""
TS_SYNC = 0x47
PREFIXES = ((b"\x1aE\xdf\xa3", "matroska"), (b"FLV", "flv"), (b"OggS", "ogg"), (b"\0\0\1\xba", "mpeg"), (ASF_HEADER, "asf"))
EBML_SEGMENT = 0x18538067
SMALLEST_HEADER = 8


def sniff(head: bytes) -> str:
    """Name FFmpeg's demuxer for a file that begins so.

    Raises:
        UnreadableError: this is no container that the fleet reads.
    """
    if head[4:8] in MOV_BOXES:
        return "mov"
    if head[:4] == b"RIFF" and head[8:11] == b"AVI":
        return "avi"
    for prefix, demuxer in PREFIXES:
        if head.startswith(prefix):
            return demuxer
    if any(_is_transport_stream(head, offset, length) for offset, length in TS_PACKETS):
        return "mpegts"
    raise UnreadableError(Reason.NOT_A_VIDEO, "The bytes do not begin like any container that the fleet reads.")


def _is_transport_stream(head: bytes, offset: int, length: int) -> bool:
    syncs = head[offset : offset + 4 * length : length]
    return len(syncs) > 1 and set(syncs) == {TS_SYNC}


def is_fragmented(file: ObjectFile) -> bool:
    """Walk an MP4's top-level boxes and say whether its samples lie in fragments.

    Raises:
        UnreadableError: the file ends before its index (`moov`) does.
    """
    position = 0
    while header := _box(file, position):
        kind, start, end = header
        if kind == b"moof":
            return True
        if kind == b"moov":
            if end > file.size_bytes:
                break
            file.plan([(position, end)])
            return _has_child(file, start, end, b"mvex")
        position = end
    raise UnreadableError(Reason.TRUNCATED, "The file ends before its index (moov).")


def _has_child(file: ObjectFile, start: int, end: int, wanted: bytes) -> bool:
    while start < end and (header := _box(file, start)):
        kind, _, start = header
        if kind == wanted:
            return True
    return False


def _box(file: ObjectFile, position: int) -> tuple[bytes, int, int] | None:
    """Read the box at a position: its kind, where its contents begin and where it ends; None at the end of the file or of sense."""
    header = file.at(position, 16)
    if len(header) < SMALLEST_HEADER:
        return None
    size, kind, begins = int.from_bytes(header[:4]), header[4:8], SMALLEST_HEADER
    if size == 1:
        size, begins = int.from_bytes(header[8:16]), 16
    if size == 0:
        size = file.size_bytes - position
    return (kind, position + begins, position + size) if size >= begins else None


def declared_end(file: ObjectFile, demuxer: str) -> int:
    """Where the container's own header says that the file ends; zero where it does not say."""
    if demuxer == "avi":
        return int.from_bytes(file.head[4:8], "little")  # the first RIFF alone: a lower bound
    if demuxer == "matroska":
        return _segment_end(file.head)
    return 0


def _segment_end(head: bytes) -> int:
    """Where Matroska's first Segment ends (RFC 8794: an element is an id, a size and its contents); zero where its size is unknown."""
    position = 0
    while position < len(head):
        identity, position = _vint(head, position, keep_marker=True)
        size, begins = _vint(head, position, keep_marker=False)
        unknown = size == (1 << 7 * (begins - position)) - 1
        position = begins + size
        if identity == EBML_SEGMENT:
            return 0 if unknown else position
    return 0


def _vint(head: bytes, position: int, *, keep_marker: bool) -> tuple[int, int]:
    """Read EBML's integer of variable length, and say where it ends: leading zero bits of the first byte tell how many bytes follow."""
    first = head[position] if position < len(head) else 0
    length = 9 - first.bit_length()
    number = int.from_bytes(head[position : position + length])
    return number if keep_marker else number & ((1 << 7 * length) - 1), position + length
