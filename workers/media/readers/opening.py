"""Opens a container with FFmpeg, as far from its own devices as options allow, and picks its video stream."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NoReturn

import av
import av.logging
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from schemas.reasons import Reason
from workers.media.child import heap
from workers.media.child.objectfile import ObjectFile
from workers.media.child.unreadable import UnreadableError
from workers.media.readers.excerpt import Excerpt
from workers.media.wire import Job

DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf"
OPTIONS = {
    "format_whitelist": DEMUXERS,
    "protocol_whitelist": "none",
    "enable_drefs": "0",
    "use_absolute_path": "0",
    "max_streams": "64",
}
PROBE = {"probesize": "2000000", "analyzeduration": "5000000"}
NO_PROBE = {"probesize": "32", "analyzeduration": "0", "fpsprobesize": "0", "skip_frame": "all"}
"""For containers whose header says it all: FFmpeg would decode a frame, without any limit, to learn what it need not know."""
NO_DECODER = {"codec_whitelist": "none"}
"""Some decoders, VP9's among them, decode all the same while FFmpeg looks at what a container holds."""
PICTURE_STREAMS = Disposition.attached_pic | Disposition.timed_thumbnails
ENCRYPTED_KEY = "enc_key_id"
"""Where FFmpeg's Matroska demuxer says that a track's contents are encrypted."""
AV_TIME_BASE = 1_000_000

if TYPE_CHECKING:
    VideoPacket = Packet[VideoStream]
else:
    VideoPacket = Packet  # generic in PyAV's stubs alone


@dataclass(frozen=True)
class Video:
    """An open container and the video stream chosen in it, ready to decode keyframes."""

    container: InputContainer
    stream: VideoStream
    time_base: Fraction


def open_video(
    file: ObjectFile | Excerpt, demuxer: str, job: Job, *, tell_codec: Callable[[str], None], header_suffices: bool, buffer_size: int
) -> Video:
    """Open a container with the demuxer that its magic called for; its codec is told before anything else can go wrong.

    Raises:
        UnreadableError: there is no video stream in it that can be decoded within the job's limits.
        Exception: FFmpeg or PyAV could make no sense of it; whatever they raise.
    """
    return _open(file, demuxer, job, OPTIONS | (NO_PROBE if header_suffices else PROBE), buffer_size, tell_codec)


def open_to_demux(file: Excerpt, demuxer: str, job: Job, *, buffer_size: int) -> Video:
    """Open a container whose packets go to the decoder of another: FFmpeg opens none to learn what it need not know, and keeps quiet.

    Raises:
        UnreadableError: there is no video stream in it that can be decoded within the job's limits.
        Exception: FFmpeg or PyAV could make no sense of it; whatever they raise.
    """
    level = av.logging.get_level()
    av.logging.set_level(av.logging.PANIC)
    try:
        return _open(file, demuxer, job, OPTIONS | NO_PROBE | NO_DECODER, buffer_size)
    finally:
        av.logging.set_level(level)


def _open(
    file: ObjectFile | Excerpt,
    demuxer: str,
    job: Job,
    options: dict[str, str],
    buffer_size: int,
    tell_codec: Callable[[str], None] = lambda _: None,
) -> Video:
    file.seek(0)
    container = av.open(
        file, "r", format=demuxer, options=options, metadata_errors="ignore", buffer_size=buffer_size, io_open=_open_nothing
    )
    stream = _video_stream(container)
    if stream.codec_context is not None:
        tell_codec(stream.codec_context.codec.canonical_name)
    _check(container, stream, job)
    codec = stream.codec_context
    heap.map_ahead(pixels=codec.width * codec.height)
    codec.thread_count = 1
    codec.skip_frame = "NONKEY"
    codec.options = {"max_pixels": str(job.max_pixels)}  # those given to the container do not reach the decoder
    return Video(container, stream, stream.time_base or Fraction(1, AV_TIME_BASE))


def _open_nothing(*_: Any, **__: Any) -> NoReturn:
    raise PermissionError("a video opens no other file")


def _video_stream(container: InputContainer) -> VideoStream:
    streams = [stream for stream in container.streams.video if not stream.disposition & PICTURE_STREAMS]
    if not streams:
        raise UnreadableError(Reason.NO_VIDEO_STREAM, "The file holds no video stream.")
    best = container.streams.best("video")
    return next((stream for stream in streams if best is not None and stream.index == best.index), streams[0])


def _check(container: InputContainer, stream: VideoStream, job: Job) -> None:
    if ENCRYPTED_KEY in stream.metadata:
        raise UnreadableError(Reason.ENCRYPTED, "The video track is encrypted.")
    if stream.codec_context is None:
        raise UnreadableError(Reason.UNSUPPORTED_CODEC, "There is no decoder for the video's codec.")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > job.max_pixels:
        raise UnreadableError(Reason.TOO_LARGE, f"Pictures of {width} x {height} have more than {job.max_pixels} pixels.")
    seconds = max(float((stream.duration or 0) * (stream.time_base or 0)), (container.duration or 0) / AV_TIME_BASE)
    check_duration(seconds, job)


def check_duration(seconds: float, job: Job) -> None:
    """Refuse a video that is longer than the job allows."""
    if seconds > job.max_duration_seconds:
        raise UnreadableError(Reason.TOO_LONG, f"The video lasts {seconds:.0f} seconds, more than {job.max_duration_seconds:.0f}.")
