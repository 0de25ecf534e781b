"""What the child's readers find in a clip and read of it, without a child: the reader by index beside the one that reads everything."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from av.video.frame import VideoFrame
from clips import Bytes

from schemas.reasons import Reason
from workers.media.child.objectfile import ObjectFile
from workers.media.child.unreadable import UnreadableError
from workers.media.child.unusable import UnusableIndexError
from workers.media.readers.containers import sniff
from workers.media.readers.cued import report_cued
from workers.media.readers.fragmented import report_fragmented
from workers.media.readers.opening import Video, VideoPacket
from workers.media.readers.scanned import report_scanned
from workers.media.readers.transport import report_transport
from workers.media.wire import Job

JOB = Job(
    size_bytes=0,
    min_gap_seconds=0,
    max_per_video=0,
    max_width=512,
    max_height=512,
    only_frames=None,
    cpu_seconds=60,
    memory_bytes=1 << 28,
    max_pixels=1 << 24,
    max_duration_seconds=86_400,
)
READERS: dict[str, Callable[..., None]] = {"matroska": report_cued, "mov": report_fragmented, "mpegts": report_transport}


@dataclass
class Counted(Bytes):
    """Bytes that remember each range asked for."""

    asked: list[tuple[int, int]] = field(default_factory=list)

    def fetch(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= len(self.body)
        self.asked.append((start, end))
        return self.read(start=start, end=end)


@dataclass
class Told:
    """What a reader told its report."""

    job: Job
    source: Counted
    codecs: list[str] = field(default_factory=list)
    stream_index: int = -1
    frames_chosen: int = 0
    frames: list[tuple[int, int, float, bytes]] = field(default_factory=list)
    """Index, pts, the same in seconds, and the picture as decoded."""
    dead_frames: list[tuple[int, float | None, Reason]] = field(default_factory=list)
    key_bytes: int = 0

    def codec(self, name: str) -> None:
        self.codecs.append(name)

    def opened(self, stream_index: int, frames_chosen: int) -> None:
        assert not self.frames_chosen, "opened twice"
        self.stream_index, self.frames_chosen = stream_index, frames_chosen

    def wanted(self, frames_chosen: int) -> Sequence[int]:
        only = self.job.only_frames
        return range(frames_chosen) if only is None else [index for index in only if index < frames_chosen]

    def frame(self, index: int, frame: VideoFrame, packet: VideoPacket, video: Video, **_: object) -> None:
        pts = frame.pts if frame.pts is not None else packet.pts
        assert pts is not None
        self.frames.append((index, pts, float(pts * video.time_base), np.ascontiguousarray(frame.to_ndarray()).tobytes()))
        self.key_bytes += packet.size

    def dead(self, index: int, pts_seconds: float | None, error: UnreadableError) -> None:
        self.dead_frames.append((index, pts_seconds, error.reason))

    @property
    def story(self) -> object:
        return self.stream_index, self.frames_chosen, self.frames, self.dead_frames


def by_index(clip: bytes, **policy: object) -> Told:
    """Read a clip by its index alone.

    Raises:
        UnusableIndexError: it has none; then nothing was told.
    """
    told = _told(clip, policy)
    try:
        READERS[sniff(clip)](_file(told), told.job, told)
    except UnusableIndexError:
        assert not told.frames_chosen, "told before the index was believed"
        raise
    return told


def by_reading_all(clip: bytes, **policy: object) -> Told:
    """Read a clip from end to end."""
    told = _told(clip, policy)
    report_scanned(_file(told), told.job, told, sniff(clip))
    return told


def _told(clip: bytes, policy: dict[str, object]) -> Told:
    return Told(replace(JOB, size_bytes=len(clip), **policy), Counted(clip))


def _file(told: Told) -> ObjectFile:
    return ObjectFile(told.source.fetch, len(told.source.body))
