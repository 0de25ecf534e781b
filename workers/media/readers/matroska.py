"""Matroska's index (RFC 9559): the Cues, which name a time, a cluster and mostly a place in it for each keyframe."""

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from workers.media.child.objectfile import ObjectFile
from workers.media.child.unusable import UnusableIndexError
from workers.media.readers.ebml import LONGEST_HEADER, Element, children, element, unsigned, written

EBML_HEADER = 0x1A45DFA3
SEGMENT = 0x18538067
SEEK_HEAD, SEEK, SEEK_ID, SEEK_POSITION = 0x114D9B74, 0x4DBB, 0x53AB, 0x53AC
INFO, TIMESTAMP_SCALE, DURATION = 0x1549A966, 0x2AD7B1, 0x4489
TRACKS, TRACK_ENTRY, TRACK_NUMBER, TRACK_TYPE, CODEC_ID = 0x1654AE6B, 0xAE, 0xD7, 0x83, 0x86
CUES, CUE_POINT, CUE_TIME, CUE_TRACK_POSITIONS = 0x1C53BB6B, 0xBB, 0xB3, 0xB7
CUE_TRACK, CUE_CLUSTER_POSITION, CUE_RELATIVE_POSITION = 0xF7, 0xF1, 0xF0
CLUSTER, TIMESTAMP = 0x1F43B675, 0xE7

VIDEO = 1
WITHOUT_PTS = b"V_MS/VFW/FOURCC"
"""A codec of AVI times: FFmpeg works out when its frames are shown from the frames before."""
NANOSECONDS = 1_000_000_000
USUAL_SCALE = 1_000_000
FLOATS = {4: ">f", 8: ">d"}
"""Formats of a floating-point number by its length."""
MOST_ELEMENTS = 64
MOST_INDEX_BYTES = 4 * 1024 * 1024
LONGEST_GAP_SECONDS = 30.0
"""Cues that leave more of the video out than this do not name every keyframe."""
OPEN_SEGMENT = SEGMENT.to_bytes(4) + b"\x01" + b"\xff" * 7


@dataclass(frozen=True, slots=True)
class Cue:
    """Where a keyframe is said to be; `relative` counts from the first byte in the cluster, and is None where that is not said."""

    cluster: int
    relative: int | None
    time: int


@dataclass(frozen=True, slots=True)
class Index:
    """What a file says of its only video track."""

    header: bytes
    """All that FFmpeg needs before the first cluster."""
    track: int
    scale: int
    """Nanoseconds in a tick of the file's clock."""
    cues: Sequence[Cue]
    """In the order of the file."""

    def seconds(self, cue: Cue) -> float:
        """When the keyframe is shown."""
        return cue.time * self.scale / NANOSECONDS

    def file_of(self, *, cluster_time: int, block: bytes) -> bytes:
        """Write a file with nothing but this block in it."""
        return self.header + written(CLUSTER, written(TIMESTAMP, cluster_time.to_bytes(8)) + block)


def index_of(file: ObjectFile) -> Index:
    """Find the Cues and check that they tell of the whole video.

    Raises:
        UnusableIndexError: there are none, or they cannot be relied on.
    """
    header = element(file.at(0, LONGEST_HEADER), base=0)
    segment = element(file.at(header.known_end, LONGEST_HEADER), base=header.known_end)
    if segment.identity != SEGMENT or segment.ends not in {None, file.size_bytes}:
        raise UnusableIndexError("The file is not one whole segment.")
    found = _before_clusters(file, segment)
    if not {INFO, TRACKS, SEEK_HEAD} <= found.keys():
        raise UnusableIndexError("The file does not begin as files with an index do.")
    info, tracks = _body(file, found[INFO]), _body(file, found[TRACKS])
    track = _video_track(tracks)
    place = found.get(CUES) or _sought(file, found[SEEK_HEAD], segment)
    cues = sorted(set(_cues(_body(file, place), track, segment.begins)), key=lambda cue: (cue.cluster, cue.relative or 0, cue.time))
    scale, duration = _clock(info)
    index = Index(file.at(0, header.known_end) + OPEN_SEGMENT + written(INFO, info) + written(TRACKS, tracks), track, scale, cues)
    _check(index, file, duration * scale / NANOSECONDS)
    return index


def _before_clusters(file: ObjectFile, segment: Element) -> dict[int, Element]:
    found: dict[int, Element] = {}
    position = segment.begins
    while position < file.size_bytes and len(found) < MOST_ELEMENTS:
        one = element(file.at(position, LONGEST_HEADER), base=position)
        if one.identity == CLUSTER:
            break
        found.setdefault(one.identity, one)
        position = one.known_end
    return found


def _body(file: ObjectFile, one: Element) -> bytes:
    size = one.known_end - one.begins
    if size > MOST_INDEX_BYTES or one.known_end > file.size_bytes:
        raise UnusableIndexError("The index is longer than an index can be.")
    return file.at(one.begins, size)


def _sought(file: ObjectFile, seek_head: Element, segment: Element) -> Element:
    body = _body(file, seek_head)
    for seek in (child for child in children(body) if child.identity == SEEK):
        fields = {field.identity: unsigned(body, field) for field in children(body, seek.begins, seek.known_end)}
        if fields.get(SEEK_ID) == CUES and SEEK_POSITION in fields:
            place = segment.begins + fields[SEEK_POSITION]
            cues = element(file.at(place, LONGEST_HEADER), base=place)
            if cues.identity == CUES:
                return cues
    raise UnusableIndexError("The file has no Cues.")


def _video_track(tracks: bytes) -> int:
    found = []
    for entry in (child for child in children(tracks) if child.identity == TRACK_ENTRY):
        fields = {field.identity: field for field in children(tracks, entry.begins, entry.known_end)}
        if TRACK_TYPE in fields and unsigned(tracks, fields[TRACK_TYPE]) == VIDEO and {TRACK_NUMBER, CODEC_ID} <= fields.keys():
            codec = fields[CODEC_ID]
            found.append((unsigned(tracks, fields[TRACK_NUMBER]), tracks[codec.begins : codec.known_end]))
    if len(found) != 1 or found[0][1].startswith(WITHOUT_PTS):
        raise UnusableIndexError("There is more than one video track, or one without times.")
    return found[0][0]


def _clock(info: bytes) -> tuple[int, float]:
    """The file's tick in nanoseconds, and the video's duration in ticks."""
    fields = {field.identity: field for field in children(info)}
    scale = unsigned(info, fields[TIMESTAMP_SCALE]) if TIMESTAMP_SCALE in fields else USUAL_SCALE
    stated = fields.get(DURATION)
    raw = info[stated.begins : stated.known_end] if stated else b""
    duration = struct.unpack(FLOATS[len(raw)], raw)[0] if len(raw) in FLOATS else 0.0
    return scale or USUAL_SCALE, duration if 0 < duration < math.inf else 0.0


def _cues(body: bytes, track: int, origin: int) -> Iterator[Cue]:
    for point in children(body):
        if point.identity != CUE_POINT:
            continue
        fields = list(children(body, point.begins, point.known_end))
        time = next((unsigned(body, field) for field in fields if field.identity == CUE_TIME), None)
        for field in fields:
            if field.identity == CUE_TRACK_POSITIONS and time is not None:
                yield from _positions(body, field, time, track, origin)


def _positions(body: bytes, positions: Element, time: int, track: int, origin: int) -> Iterator[Cue]:
    wanted = {CUE_TRACK, CUE_CLUSTER_POSITION, CUE_RELATIVE_POSITION}
    fields = {one.identity: unsigned(body, one) for one in children(body, positions.begins, positions.known_end) if one.identity in wanted}
    if fields.get(CUE_TRACK) == track and CUE_CLUSTER_POSITION in fields:
        yield Cue(origin + fields[CUE_CLUSTER_POSITION], fields.get(CUE_RELATIVE_POSITION), time)


def _check(index: Index, file: ObjectFile, duration_seconds: float) -> None:
    if not index.cues or index.cues[-1].cluster >= file.size_bytes:
        raise UnusableIndexError("The Cues name no keyframe of this file.")
    times = sorted([0.0, duration_seconds, *(index.seconds(cue) for cue in index.cues)])
    if max(later - earlier for earlier, later in pairwise(times)) > LONGEST_GAP_SECONDS:
        raise UnusableIndexError("The Cues leave much of the video out.")
