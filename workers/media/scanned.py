"""Keyframes of any other container: one pass notes where they are, a second decodes the chosen ones."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from av.error import FFmpegError
from av.packet import Packet

from schemas.reasons import Reason
from workers.media.containers import declared_end
from workers.media.decoding import decode_alone, refuse_encrypted
from workers.media.objectfile import ObjectFile
from workers.media.opening import AV_TIME_BASE, Video, VideoPacket, check_duration, open_video
from workers.media.report import Report
from workers.media.sampling import choose
from workers.media.unreadable import UnreadableError
from workers.media.wire import Job

BUFFER_BYTES = 256 * 1024
MOST_KEYFRAMES = 4_000_000
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


def report_scanned(file: ObjectFile, job: Job, report: Report, demuxer: str) -> None:
    """Choose among the keyframes that a pass over the whole file meets, and report each chosen one.

    Where the pass breaks off, or the file is visibly cut, one dead frame more stands for what cannot be read.
    """
    try:
        video = open_video(file, demuxer, job, header_suffices=False, buffer_size=BUFFER_BYTES)
    except FFmpegError as error:
        if declared_end(file, demuxer) > file.size_bytes:
            raise UnreadableError(Reason.TRUNCATED, f"The file ends too early to be opened: {error}") from error
        raise
    scan = _scan(video, demuxer)
    broken = _broken(scan, video, file, demuxer)
    if not scan.seconds:
        raise broken or UnreadableError(Reason.NO_KEYFRAME, "The video stream has no keyframe.")
    check_duration(max(scan.seconds) - min(scan.seconds), job)
    chosen = choose(scan.seconds, min_gap_seconds=job.min_gap_seconds, max_per_video=job.max_per_video)
    video.container.close()
    again = open_video(file, demuxer, job, header_suffices=False, buffer_size=BUFFER_BYTES)
    report.opened(again.stream.index, len(chosen) + (broken is not None))
    _report_chosen(again, report, chosen, scan)
    if broken is not None and len(chosen) in report.wanted(len(chosen) + 1):
        report.dead(len(chosen), None, broken)


def _scan(video: Video, demuxer: str) -> Scan:
    scan = Scan()
    streams = None if demuxer in DECLARING_DURATION else video.stream
    try:
        for packet in video.container.demux(streams):
            if packet.size:
                _note(scan, packet, video)
    except FFmpegError as error:
        scan.error = str(error)
    return scan


def _note(scan: Scan, packet: "Packet[Any]", video: Video) -> None:
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


def _report_chosen(video: Video, report: Report, chosen: list[int], scan: Scan) -> None:
    todo = [(index, chosen[index]) for index in report.wanted(len(chosen))][::-1]
    for ordinal, packet in enumerate(_key_packets(video)):
        if not todo:
            return
        if todo[-1][1] == ordinal:
            _report_packet(video, report, todo.pop()[0], packet, scan.seconds[ordinal])
    for index, ordinal in reversed(todo):
        report.dead(index, scan.seconds[ordinal], UnreadableError(Reason.CORRUPT, "The frame cannot be read a second time."))


def _report_packet(video: Video, report: Report, index: int, packet: VideoPacket, seconds: float) -> None:
    try:
        report.frame(index, decode_alone(video, packet), packet, video)
    except UnreadableError as error:
        report.dead(index, seconds, error)


def _key_packets(video: Video) -> Iterator[VideoPacket]:
    """Demux the keyframes' packets; `discard` and `skip_frame` leave others in for some codecs."""
    try:
        for packet in video.container.demux(video.stream):
            if packet.size and packet.is_keyframe:
                yield packet
    except FFmpegError:
        return  # the first pass ended here too, and said why
