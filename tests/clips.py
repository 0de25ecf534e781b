"""Makes small clips in the test's own process: every frame shows its number, and nothing is random.

A clip is bytes. `number_of` reads the number back from decoded pixels, so that a picture can be checked against its place.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

BITS = 8
DEMO_KEY = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}
CODEC_OPTIONS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "ultrafast", "sc_threshold": "0", "bf": "2", "crf": "20", "threads": "1"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:frame-threads=1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "mpeg4": {"sc_threshold": "1000000000"},
    "mpeg2video": {"sc_threshold": "1000000000"},
}
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """What a clip is made of."""

    container: str = "mp4"
    codec: str = "libx264"
    width: int = 128
    height: int = 96
    frames: int = 40
    rate: int = 10
    gop: int = 10
    pix_fmt: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=dict)
    """The muxer's: `{"movflags": "+faststart"}`."""
    codec_options: Mapping[str, str] = field(default_factory=dict)
    rotation: int = 0
    """Degrees counter-clockwise that a player shall turn the picture by."""
    display_matrix: tuple[int, int, int, int] | None = None
    """How a player shall turn and mirror: a, b, c and d of a point (x, y) shown at (ax + cy, bx + dy)."""
    pixel_aspect: Fraction | None = None
    colours: Mapping[str, int] = field(default_factory=dict)
    """What the stream says of itself: colorspace, color_range, color_trc, color_primaries."""
    paint: Callable[[int], av.VideoFrame] | None = None
    """Makes each frame as it goes to the encoder, in place of `picture`."""
    seconds_between_frames: Fraction | None = None
    audio: bool = False


@dataclass
class Bytes:
    """A byte source over bytes in memory, which counts what is read of it."""

    body: bytes
    before_read: Callable[[], None] = lambda: None
    bytes_read: int = 0

    @property
    def size_bytes(self) -> int:
        return len(self.body)

    def plan(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Do nothing: all is here."""

    def read(self, *, start: int, end: int) -> bytes:
        self.before_read()
        self.bytes_read += end - start
        return self.body[start:end]


FASTSTART = {"movflags": "+faststart"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}


def picture(number: int, width: int, height: int) -> Pixels:
    """Draw a frame: its number in binary as a row of white and black blocks over a ground that changes with it, and a red corner."""
    ground = (40 + number * 37 % 120, 60 + number * 53 % 120, 80 + number * 71 % 120)
    pixels = np.full((height, width, 3), ground, np.uint8)
    for bit in range(BITS):
        pixels[: height // 4, bit * width // BITS : (bit + 1) * width // BITS] = 235 if number >> bit & 1 else 20
    pixels[height * 3 // 4 :, : width // 4] = (200, 20, 20)
    return pixels


def number_of(pixels: Pixels) -> int:
    """Read a frame's number back from its (upright, perhaps scaled) picture."""
    height, width = pixels.shape[:2]
    row = pixels[height // 8].mean(axis=1)
    return sum(1 << bit for bit in range(BITS) if row[(2 * bit + 1) * width // (2 * BITS)] > 128)


def make(clip: Clip) -> bytes:
    """Encode a clip."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip.{clip.container}"
        _write(clip, path)
        return path.read_bytes()


def _write(clip: Clip, path: Path) -> None:
    with av.open(str(path), "w", format=clip.container, options=dict(clip.options)) as container:
        video = container.add_stream(clip.codec, rate=clip.rate)
        video.width, video.height, video.pix_fmt, video.gop_size = clip.width, clip.height, clip.pix_fmt, clip.gop
        video.codec_context.thread_count = 1
        video.codec_context.options = CODEC_OPTIONS.get(clip.codec, {}) | dict(clip.codec_options)
        if clip.pixel_aspect is not None:
            video.codec_context.sample_aspect_ratio = clip.pixel_aspect
        for name, value in clip.colours.items():
            setattr(video.codec_context, name, value)
        if clip.rotation:
            video.set_display_rotation(clip.rotation)
        if clip.display_matrix is not None:
            a, b, c, d = (number << 16 for number in clip.display_matrix)
            video.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        sound = _add_sound(container) if clip.audio else None
        for frame in frames(clip):
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if sound is not None:
            _play(container, sound, seconds=clip.frames / clip.rate)


def frames(clip: Clip) -> Iterator[av.VideoFrame]:
    """Make a clip's frames, ready to be encoded."""
    step = clip.seconds_between_frames or Fraction(1, clip.rate)
    time_base = Fraction(1, clip.rate)
    for number in range(clip.frames):
        frame = clip.paint(number) if clip.paint is not None else _painted(clip, number)
        frame.pts, frame.time_base = int(number * step / time_base), time_base
        yield frame


def _painted(clip: Clip, number: int) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(picture(number, clip.width, clip.height), "rgb24").reformat(format=clip.pix_fmt)


def _add_sound(container: Any) -> Any:
    sound = container.add_stream("aac", rate=8000)
    sound.layout = "mono"
    return sound


def _play(container: Any, sound: Any, *, seconds: float) -> None:
    for number in range(int(seconds * 8000 / 1024) + 1):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, number * 1024, Fraction(1, 8000)
        container.mux(sound.encode(frame))
    container.mux(sound.encode())


def audio_only(container: str = "mp4") -> bytes:
    """Make a file of silence."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sound.{container}"
        with av.open(str(path), "w", format=container) as output:
            _play(output, _add_sound(output), seconds=1)
        return path.read_bytes()


def cover_art() -> bytes:
    """Make a file of silence with a cover picture, which FFmpeg shows as a video stream."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "song.mp4"
        with av.open(str(path), "w", format="mp4") as output:
            sound = _add_sound(output)
            cover = output.add_stream("mjpeg", rate=1)
            cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
            cover.disposition = av.stream.Disposition.attached_pic
            for packet in [
                *cover.encode(av.VideoFrame.from_ndarray(picture(1, 64, 64), "rgb24").reformat(format="yuvj420p")),
                *cover.encode(),
            ]:
                output.mux(packet)
            _play(output, sound, seconds=1)
        return path.read_bytes()


def with_fourcc(clip: bytes, old: bytes, new: bytes) -> bytes:
    """Put another codec's name on an MP4's samples."""
    place = clip.index(b"stsd")
    place = clip.index(old, place)
    return clip[:place] + new + clip[place + 4 :]


def without_keyframes(clip: bytes) -> bytes:
    """Have an MP4's table of keyframes name but one, that does not exist."""
    entries = clip.index(b"stss") + 8
    return clip[:entries] + (1).to_bytes(4) + (1 << 30).to_bytes(4) + clip[entries + 8 :]


def scrambled(clip: bytes, start: int, end: int) -> bytes:
    """Overwrite a range with bytes that mean nothing."""
    noise = bytes((number * 73 + 41) % 251 for number in range(end - start))
    return clip[:start] + noise + clip[end:]


def key_samples(clip: bytes) -> list[tuple[int, int]]:
    """Where an MP4's keyframes lie: their starts and ends."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(clip)
        file.flush()
        with av.open(file.name) as container:
            entries = container.streams.video[0].index_entries
            return [(entry.pos, entry.pos + entry.size) for entry in entries if entry.is_keyframe]


def bad_files() -> dict[str, Callable[[], bytes]]:
    """Broken and unfit files by name; each is made when asked for."""
    return {
        "empty.mp4": bytes,
        "text.mp4": lambda: b"This is a page of text that somebody named .mp4.\n" * 40,
        "playlist.mp4": lambda: b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "truncated_no_index.mp4": lambda: make(Clip())[:-1500],
        "truncated_index_in_front.mp4": lambda: _half(make(Clip(options=FASTSTART))),
        "truncated.mkv": lambda: _half(make(Clip(container="matroska"))),
        "audio_only.m4a": audio_only,
        "cover_art.m4a": cover_art,
        "encrypted.mp4": lambda: make(Clip(options=DEMO_KEY)),
        "unknown_codec.mp4": lambda: with_fourcc(make(Clip()), b"avc1", b"zzzz"),
        "no_keyframe.mp4": lambda: without_keyframes(make(Clip())),
        "too_long.mkv": lambda: make(Clip(container="matroska", frames=3, gop=1, seconds_between_frames=Fraction(50_000))),
        "too_large.mkv": lambda: make(Clip(container="matroska", codec="mjpeg", pix_fmt="yuvj420p", width=8200, height=4400, frames=1)),
    }


def _half(clip: bytes) -> bytes:
    return clip[: len(clip) * 3 // 5]
