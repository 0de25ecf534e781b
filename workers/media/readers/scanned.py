"""Keyframes of any other container: a pass over the whole file notes them and holds those that may be chosen, as far as there is room.

Only where the room does not suffice, a second pass finds the chosen ones again.
"""

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from av.error import FFmpegError
from av.packet import Packet

from schemas.reasons import Reason
from workers.media.child.objectfile import ObjectFile
from workers.media.child.report import Report
from workers.media.child.unreadable import UnreadableError
from workers.media.pictures.decoding import decode_alone, refuse_encrypted
from workers.media.readers.containers import declared_end
from workers.media.readers.opening import AV_TIME_BASE, Video, VideoPacket, check_duration, open_video
from workers.media.sampling import ROUNDING_SECONDS, choose
from workers.media.wire import Job

BUFFER_BYTES = 256 * 1024
STRETCH_BYTES = 4 * 1024 * 1024
MOST_KEYFRAMES = 4_000_000
MOST_HELD_BYTES = 32 * 1024 * 1024
"""Packets kept of the first pass; one more, and none are."""
DEFAULT_RATE = 25
ENDLESS = ("mpegts", "mpeg")
"""Streams that may begin and end anywhere: a last packet cut short is no damage."""
DECLARING_DURATION = ("avi", "flv", "asf")
SHORT_BY_SECONDS = 2.0
SHORT_BY_PART = 0.1
"""A file that ends this much before its declared duration is cut."""


@dataclass
class Scan:
    """What the first pass saw."""

    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    """When each keyframe is shown, in the order of the file."""
    packets: int = 0
    last_is_corrupt: bool = False
    until_seconds: float = 0.0
    error: str = ""
    """Why the pass broke off; empty if it came to the end."""
    held: dict[int, VideoPacket] = field(default_factory=dict)
    """Packets of keyframes that may be chosen, by their ordinals."""
    room_bytes: int = MOST_HELD_BYTES
    held_until: float = -math.inf

    def hold(self, packet: VideoPacket, gap_seconds: float) -> None:
        """Keep the latest keyframe's packet, unless it lies too close behind the one kept before."""
        seconds = self.seconds[-1]
        if 0 <= seconds - self.held_until < gap_seconds - ROUNDING_SECONDS:
            return
        self.held_until = seconds
        self.room_bytes -= packet.size
        if self.room_bytes < 0:
            self.held.clear()
        else:
            self.held[len(self.seconds) - 1] = packet


class ReadAhead:
    """Announces a stretch of the file at a time, as far ahead of the demuxer as it will surely come."""

    def __init__(self, file: ObjectFile) -> None:
        self._file = file
        self._until = 0

    def go_on(self) -> None:
        """Announce the next stretch if the one before is half read, or if the demuxer is somewhere else."""
        position = self._file.tell()
        if STRETCH_BYTES // 2 <= self._until - position <= 2 * STRETCH_BYTES:
            return
        starts = max(position, self._until) if position >= self._until - STRETCH_BYTES else position
        self._until = starts + STRETCH_BYTES
        self._file.plan([(starts, min(self._until, self._file.size_bytes))])


def report_scanned(file: ObjectFile, job: Job, report: Report, demuxer: str) -> None:
    """Choose among the keyframes that a pass over the whole file meets, and report each chosen one.

    Where the pass breaks off, or the file is visibly cut, one dead frame more stands for what cannot be read.
    """
    try:
        video = open_video(file, demuxer, job, tell_codec=report.codec, header_suffices=False, buffer_size=BUFFER_BYTES)
    except FFmpegError as error:
        if declared_end(file, demuxer) > file.size_bytes:
            raise UnreadableError(Reason.TRUNCATED, f"The file ends too early to be opened: {error}") from error
        raise
    scan = _scan(video, demuxer, job, file)
    broken = _broken(scan, video, file, demuxer)
    if not scan.seconds:
        raise broken or UnreadableError(Reason.NO_KEYFRAME, "The video stream has no keyframe.")
    check_duration(max(scan.seconds) - min(scan.seconds), job)
    chosen = choose(scan.seconds, min_gap_seconds=job.min_gap_seconds, max_per_video=job.max_per_video)
    report.opened(video.stream.index, len(chosen) + (broken is not None))
    if scan.held.keys() >= set(chosen):
        _report_chosen(video, report, chosen, scan, ((ordinal, scan.held[ordinal]) for ordinal in chosen))
    else:
        video.container.close()
        again = open_video(file, demuxer, job, tell_codec=report.codec, header_suffices=False, buffer_size=BUFFER_BYTES)
        _report_chosen(again, report, chosen, scan, enumerate(_key_packets(again, file)))
    if broken is not None and len(chosen) in report.wanted(len(chosen) + 1):
        report.dead(len(chosen), None, broken)


def _scan(video: Video, demuxer: str, job: Job, file: ObjectFile) -> Scan:
    scan, ahead = Scan(), ReadAhead(file)
    streams = None if demuxer in DECLARING_DURATION else video.stream
    try:
        for packet in video.container.demux(streams):
            ahead.go_on()
            if packet.size:
                _note(scan, packet, video, job)
    except FFmpegError as error:
        scan.error = str(error)
    return scan


def _note(scan: Scan, packet: "Packet[Any]", video: Video, job: Job) -> None:
    timestamp = packet.pts if packet.pts is not None else packet.dts
    if timestamp is not None and packet.time_base:
        scan.until_seconds = max(scan.until_seconds, float(timestamp * packet.time_base))
    if packet.stream_index != video.stream.index:
        return
    scan.packets += 1
    scan.last_is_corrupt = packet.is_corrupt
    if not packet.is_keyframe:
        return
    refuse_encrypted(packet)
    if len(scan.seconds) == MOST_KEYFRAMES:
        raise UnreadableError(Reason.TOO_LONG, f"The video has more than {MOST_KEYFRAMES} keyframes.")
    rate = video.stream.average_rate or DEFAULT_RATE
    scan.seconds.append(float(scan.packets / rate if timestamp is None else timestamp * video.time_base))
    scan.hold(packet, job.min_gap_seconds)


def _broken(scan: Scan, video: Video, file: ObjectFile, demuxer: str) -> UnreadableError | None:
    if file.overran or declared_end(file, demuxer) > file.size_bytes:
        return UnreadableError(Reason.TRUNCATED, "The file ends before its contents do.")
    if scan.last_is_corrupt and demuxer not in ENDLESS:
        return UnreadableError(Reason.TRUNCATED, "The file's last packet is cut short.")
    if scan.error:
        return UnreadableError(Reason.CORRUPT, f"The rest of the file cannot be read: {scan.error}")
    declared = (video.container.duration or 0) / AV_TIME_BASE
    if demuxer in DECLARING_DURATION and scan.until_seconds + max(SHORT_BY_SECONDS, SHORT_BY_PART * declared) < declared:
        return UnreadableError(Reason.TRUNCATED, f"The file declares {declared:.0f} seconds and ends after {scan.until_seconds:.0f}.")
    return None


def _report_chosen(video: Video, report: Report, chosen: list[int], scan: Scan, packets: Iterable[tuple[int, VideoPacket]]) -> None:
    todo = [(index, chosen[index]) for index in report.wanted(len(chosen))][::-1]
    for ordinal, packet in packets:
        if not todo:
            return
        if todo[-1][1] == ordinal:
            _report_packet(video, report, todo.pop()[0], packet, scan.seconds[ordinal])
    for index, ordinal in reversed(todo):
        report.dead(index, scan.seconds[ordinal], UnreadableError(Reason.CORRUPT, "The frame cannot be read a second time."))


def _report_packet(video: Video, report: Report, index: int, packet: VideoPacket, seconds: float) -> None:
    try:
        report.frame(index, decode_alone(video, packet), packet, video, about_seconds=seconds)
    except UnreadableError as error:
        report.dead(index, seconds, error)


def _key_packets(video: Video, file: ObjectFile) -> Iterator[VideoPacket]:
    """Demux the keyframes' packets; `discard` and `skip_frame` leave others in for some codecs."""
    ahead = ReadAhead(file)
    try:
        for packet in video.container.demux(video.stream):
            ahead.go_on()
            if packet.size and packet.is_keyframe:
                yield packet
    except FFmpegError:
        return  # the first pass ended here too, and said why
