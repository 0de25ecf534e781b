"""Files that no encoder makes in one go: streams whose parameters change on the way, and edit lists."""

import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import clips
from clips import Clip

IN_BAND = {"bf": "0", "x264-params": "repeat-headers=1:scenecut=0"}
"""Each keyframe brings its own parameter sets."""
BOXES = (b"moov", b"trak", b"edts")


def joined(parts: Sequence[Clip], *, container: str, options: Mapping[str, str] | None = None) -> bytes:
    """Put H.264 clips of one rate behind each other into one stream, which is announced with the parameters of the first."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "joined"
        with av.open(str(path), "w", format=container, options=dict(options or {})) as output:
            stream = output.add_stream("libx264", rate=parts[0].rate)
            _describe(stream.codec_context, parts[0])
            for packet in _packets(parts):
                packet.stream = stream
                output.mux(packet)
        return path.read_bytes()


def _describe(codec: av.VideoCodecContext, part: Clip) -> None:
    codec.width, codec.height, codec.pix_fmt, codec.gop_size = part.width, part.height, part.pix_fmt, part.gop
    codec.time_base, codec.framerate, codec.thread_count = Fraction(1, part.rate), Fraction(part.rate), 1
    codec.options = clips.CODEC_OPTIONS["libx264"] | IN_BAND | dict(part.codec_options)
    if part.pixel_aspect is not None:
        codec.sample_aspect_ratio = part.pixel_aspect


def _packets(parts: Sequence[Clip]) -> Iterator[av.Packet]:
    begun = 0
    for part in parts:
        encoder = av.CodecContext.create("libx264", "w")
        _describe(encoder, part)
        for frame in [*clips.frames(part), None]:
            if frame is not None:
                frame.pts += begun
            for packet in encoder.encode(frame):
                packet.time_base = Fraction(1, part.rate)
                yield packet
        begun += part.frames


def with_edits(clip: bytes, edits: Sequence[tuple[float, float | None]]) -> bytes:
    """Give an MP4 whose index is behind its samples another edit list: seconds to show, and from where in the media (None: nothing)."""
    movie_rate, media_rate = (_timescale(clip, box) for box in (b"mvhd", b"mdhd"))
    body = bytes(4) + len(edits).to_bytes(4)
    for duration, begin in edits:
        start = -1 if begin is None else round(begin * media_rate)
        body += round(duration * movie_rate).to_bytes(4) + start.to_bytes(4, signed=True) + (1 << 16).to_bytes(4)
    at = clip.index(b"elst") - 4
    old_size = int.from_bytes(clip[at : at + 4])
    edited = clip[:at] + (8 + len(body)).to_bytes(4) + b"elst" + body + clip[at + old_size :]
    return _resized(edited, by=8 + len(body) - old_size)


def _resized(clip: bytes, *, by: int) -> bytes:
    for box in BOXES:
        at = clip.index(box, clip.index(b"moov")) - 4
        clip = clip[:at] + (int.from_bytes(clip[at : at + 4]) + by).to_bytes(4) + clip[at + 4 :]
    return clip


def _timescale(clip: bytes, box: bytes) -> int:
    at = clip.index(box) + 4 + 12  # version and flags, creation and modification time
    return int.from_bytes(clip[at : at + 4])


def frames_of(clip: bytes) -> list[av.VideoFrame]:
    """Decode every frame."""
    with av.open(io.BytesIO(clip)) as container:
        return list(container.decode(video=0))
