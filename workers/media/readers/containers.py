"""What kind of container the bytes are, told by their magic alone and never by a name."""

from schemas.reasons import Reason
from workers.media.child.objectfile import ObjectFile
from workers.media.child.unreadable import UnreadableError
from workers.media.readers.boxes import HEADER_BYTES, Box, box
from workers.media.readers.ebml import vint
from workers.media.readers.tables import shape_of

MOV_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"moof", b"sidx")
ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
PREFIXES = ((b"\x1aE\xdf\xa3", "matroska"), (b"FLV", "flv"), (b"OggS", "ogg"), (b"\0\0\1\xba", "mpeg"), (ASF_HEADER, "asf"))
EBML_SEGMENT = 0x18538067
MOST_REST_BYTES = 4 * 1024 * 1024


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
    if shape_of(head) is not None:
        return "mpegts"
    raise UnreadableError(Reason.NOT_A_VIDEO, "The bytes do not begin like any container that the fleet reads.")


def is_fragmented(file: ObjectFile) -> bool:
    """Walk an MP4's top-level boxes and say whether its samples lie in fragments.

    Raises:
        UnreadableError: the file ends before its index (`moov`) does.
    """
    position = 0
    while one := _box(file, position):
        if one.kind == b"moof":
            return True
        if one.kind == b"moov":
            if one.ends > file.size_bytes:
                break
            file.keep(one.starts, one.ends)
            return _has_child(file, one, b"mvex")
        position = one.ends
        if len(file.head) < position and file.size_bytes - position <= MOST_REST_BYTES:
            file.keep(position, file.size_bytes)  # what comes after the samples is the index
    raise UnreadableError(Reason.TRUNCATED, "The file ends before its index (moov).")


def _has_child(file: ObjectFile, outer: Box, wanted: bytes) -> bool:
    position = outer.begins
    while position < outer.ends and (one := _box(file, position)):
        if one.kind == wanted:
            return True
        position = one.ends
    return False


def _box(file: ObjectFile, position: int) -> Box | None:
    return box(file.at(position, HEADER_BYTES), base=position, limit=file.size_bytes)


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
        identity, position = vint(head, position, keep_marker=True)
        size, begins = vint(head, position, keep_marker=False)
        unknown = size == (1 << 7 * (begins - position)) - 1
        position = begins + size
        if identity == EBML_SEGMENT:
            return 0 if unknown else position
    return 0
