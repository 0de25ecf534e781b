"""The fewest bytes that keyframes can be had for: the file's index and the keyframes themselves, found without the fleet's own code."""

from dataclasses import dataclass
from pathlib import Path

import av
from media_reading import WrongError

INDEX_BOXES = {b"moov", b"sidx", b"mfra"}
EBML_SEGMENT, EBML_TRACKS, EBML_CUES = 0x18538067, 0x1654AE6B, 0x1C53BB6B


@dataclass(frozen=True, slots=True)
class Bound:
    """The lower bound of one file's keyframes."""

    index_bytes: int
    keyframe_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.index_bytes + self.keyframe_bytes


def bound(path: Path, stamps: list[int]) -> Bound:
    """Demux the whole file and add up the keyframes shown at these pts.

    Raises:
        WrongError: that is not where the file has so many keyframes.
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        sizes = {packet.pts: packet.size for packet in container.demux(stream) if packet.is_keyframe and packet.size}
    strangers = [stamp for stamp in stamps if stamp not in sizes]
    if strangers or len(set(stamps)) < len(stamps):
        raise WrongError(f"The pictures at {strangers or stamps} are not that many keyframes.")
    return Bound(_index_bytes(path), sum(sizes[stamp] for stamp in stamps))


def _index_bytes(path: Path) -> int:
    match path.suffix:
        case ".mp4" | ".mov":
            return sum(end - start for kind, start, end in _boxes(path) if kind in INDEX_BOXES)
        case ".mkv" | ".webm":
            return sum(end - start for kind, start, end in _elements(path) if kind in {EBML_TRACKS, EBML_CUES})
        case _:
            return 0


def _boxes(path: Path) -> list[tuple[bytes, int, int]]:
    """An MP4's top-level boxes: kind, start and end."""
    found, start, size = list[tuple[bytes, int, int]](), 0, path.stat().st_size
    with path.open("rb") as file:
        while start < size:
            file.seek(start)
            header = file.read(16)
            length = int.from_bytes(header[:4])
            found.append((header[4:8], start, start + (length if length != 1 else int.from_bytes(header[8:16]))))
            start = found[-1][2]
    return found


def _elements(path: Path) -> list[tuple[int, int, int]]:
    """The elements in a Matroska file's Segment: id, start and end."""
    found, start, size = list[tuple[int, int, int]](), 0, path.stat().st_size
    with path.open("rb") as file:
        while start < size:
            file.seek(start)
            header = file.read(16)
            identity, place = _number(header, 0, masked=False)
            length, place = _number(header, place, masked=True)
            found.append((identity, start, start + place + length))
            start += place if identity == EBML_SEGMENT else place + length
    return found


def _number(header: bytes, place: int, *, masked: bool) -> tuple[int, int]:
    """EBML's number of variable length (RFC 8794), and where it ends."""
    length = 9 - header[place].bit_length()
    number = int.from_bytes(header[place : place + length])
    return number & ((1 << 7 * length) - 1) if masked else number, place + length
