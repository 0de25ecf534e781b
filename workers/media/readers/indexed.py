"""Keyframes by a complete index (MP4, MOV): exactly the chosen samples are read."""

from dataclasses import dataclass

from av.error import FFmpegError
from av.index import IndexEntry
from av.stream import Discard

from schemas.reasons import Reason
from workers.media.child.objectfile import ObjectFile
from workers.media.child.report import Report
from workers.media.child.unreadable import UnreadableError
from workers.media.pictures.decoding import decode_alone, refuse_encrypted
from workers.media.readers.opening import Video, VideoPacket, open_video
from workers.media.sampling import choose
from workers.media.wire import Job

BUFFER_BYTES = 32 * 1024
FAR_AWAY = 1 << 62


@dataclass(frozen=True, slots=True)
class Sample:
    """Where a keyframe lies, and its decoding time stamp."""

    start: int
    end: int
    timestamp: int
    next_timestamp: int
    """Decoding time stamp of the keyframe that follows; far away for the last. The demuxer seeks by presentation, which lags."""


@dataclass(slots=True)
class Reel:
    """An open video whose samples can be had one by one."""

    video: Video
    file: ObjectFile
    reorder_delay: int = 0
    """How far the last keyframe's presentation lagged behind its decoding."""

    def packet(self, sample: Sample) -> VideoPacket:
        """Have FFmpeg demux this very sample, out of bytes fetched ahead: only the demuxer knows its true pts and its side data.

        Raises:
            UnreadableError: the sample lies past the end of the file, or the demuxer finds no way to it.
        """
        if sample.end > self.file.size_bytes:
            raise UnreadableError(Reason.TRUNCATED, "The file ends before this frame does.")
        self.file.hold(sample.start, sample.end)
        for target in (sample.next_timestamp - 1, sample.timestamp + self.reorder_delay, sample.timestamp):
            packet = self._seek(target)
            if packet is not None and packet.pos == sample.start and packet.size == sample.end - sample.start:
                self.reorder_delay = packet.pts - packet.dts if packet.pts is not None and packet.dts is not None else 0
                return packet
        raise UnreadableError(Reason.CORRUPT, "The file's index leads to no such frame.")

    def _seek(self, target: int) -> VideoPacket | None:
        try:
            self.video.container.seek(target, stream=self.video.stream)
            return next(packet for packet in self.video.container.demux(self.video.stream))
        except FFmpegError:
            return None


def report_indexed(file: ObjectFile, job: Job, report: Report) -> None:
    """Choose among the index's keyframes and report each chosen one."""
    file.end_at_holes()
    video = open_video(file, "mov", job, tell_codec=report.codec, header_suffices=True, buffer_size=BUFFER_BYTES)
    for stream in video.container.streams:
        stream.discard = Discard.default if stream.index == video.stream.index else Discard.all
    chosen = _choose(video, job)
    reel = Reel(video, file)
    wanted = report.wanted(len(chosen))
    file.plan([(chosen[index].start, min(chosen[index].end, file.size_bytes)) for index in wanted if chosen[index].start < file.size_bytes])
    if chosen[0].end <= file.size_bytes:
        refuse_encrypted(reel.packet(chosen[0]))
    report.opened(video.stream.index, len(chosen))
    for index in wanted:
        _report_sample(reel, report, index, chosen[index])


def _choose(video: Video, job: Job) -> list[Sample]:
    entries = video.stream.index_entries
    keys = [ordinal for ordinal, entry in enumerate(entries) if entry.is_keyframe and not entry.is_discard]
    if not keys:
        raise UnreadableError(Reason.NO_KEYFRAME, "The file's index names no keyframe.")
    seconds = [float(entries[key].timestamp * video.time_base) for key in keys]
    ordinals = choose(seconds, min_gap_seconds=job.min_gap_seconds, max_per_video=job.max_per_video)
    following = [*(entries[key].timestamp for key in keys[1:]), FAR_AWAY]
    return [_sample(entries[keys[ordinal]], following[ordinal]) for ordinal in ordinals]


def _sample(entry: IndexEntry, next_timestamp: int) -> Sample:
    return Sample(start=entry.pos, end=entry.pos + entry.size, timestamp=entry.timestamp, next_timestamp=next_timestamp)


def _report_sample(reel: Reel, report: Report, index: int, sample: Sample) -> None:
    try:
        packet = reel.packet(sample)
        report.frame(index, decode_alone(reel.video, packet), packet, reel.video)
    except UnreadableError as error:
        report.dead(index, float(sample.timestamp * reel.video.time_base), error)
