"""Videos for the keyframe benchmark, as long and as heavy as the web's: seconds drawn and encoded once, then repeated into any container.

The drawn clips of `clips.py` get fresh grain, so that 1080p H.264 takes almost 4 Mbit/s with keyframes of 100-170 KB, and sound beside
them. What is encoded stays in the temporary folder; the videos are muxed anew, packet by packet, with time stamps moved on.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from heapq import merge
from operator import itemgetter
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from clips import CACHE, DRAWN_SECONDS, FPS, GOP, Clip, made

GRAIN = 2.0
"""Standard deviation of the fresh grain, in steps of 8-bit luma."""
FULL_HD_BITS_PER_SECOND = 3_500_000
"""Aim of the encoders that are not told a quality; smaller pictures get less."""
SOUND_RATE = 48_000
SOUND_BITS_PER_SECOND = 128_000
ENCODERS = {
    "h264": ("libx264", {"preset": "veryfast", "crf": "24", "tune": "grain", "sc_threshold": "0"}),
    "hevc": (
        "libx265",
        {
            "preset": "ultrafast",
            "tune": "grain",
            "crf": "23",
            "x265-params": f"log-level=none:open-gop=0:scenecut=0:keyint={GOP}:min-keyint={GOP}",
        },
    ),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "av1": ("libsvtav1", {"preset": "11", "crf": "27"}),
    "mpeg4": ("mpeg4", {"sc_threshold": "1000000000"}),
}
os.environ.setdefault("SVT_LOG", "1")  # else the AV1 encoder tells its settings
SOUNDS = {"aac": "m4a", "libopus": "webm"}


@dataclass(frozen=True, slots=True)
class Reel:
    """Some seconds of one codec and size."""

    codec: str
    width: int = 1920
    height: int = 1080

    @property
    def name(self) -> str:
        """Its file name, which says all that it is made of."""
        return f"reel-{self.codec}-{self.height}p.mp4"


@dataclass(frozen=True, slots=True)
class Video:
    """A reel repeated into a container, with sound."""

    case: str
    """What is peculiar about it, in words."""
    reel: Reel
    container: str = "mp4"
    options: dict[str, str] = field(default_factory=dict)
    """The muxer's."""

    @property
    def sound(self) -> str:
        """The encoder of its sound."""
        return "libopus" if self.container == "webm" else "aac"


@dataclass(frozen=True, slots=True)
class Track:
    """Packets to repeat, all of one stream, and how long they take."""

    stream: "av.VideoStream | av.AudioStream"
    packets: list[tuple[bytes, int, int, int, bool]]
    """Contents, pts, dts, duration, and whether it is a keyframe."""
    ticks: int

    @classmethod
    def of(cls, container: av.container.InputContainer) -> "Track":
        """Read the first stream of a file."""
        stream = container.streams[0]
        assert isinstance(stream, av.VideoStream | av.AudioStream)
        found = [packet for packet in container.demux(stream) if packet.size]
        packets = [(bytes(one), one.pts or 0, one.dts or 0, one.duration or 0, one.is_keyframe) for one in found]
        return cls(stream, packets, sum(duration for *_, duration, _ in packets))

    def repeated(self, into: "av.VideoStream | av.AudioStream", *, seconds: int) -> Iterator["tuple[Fraction, Packet[Any]]"]:
        """Make its packets again and again, with the time of each; they come in the order of decoding."""
        base = self.stream.time_base or Fraction(1)
        for repeat in range(-(-seconds // int(self.ticks * base)) + 1):
            for contents, pts, dts, duration, is_keyframe in self.packets:
                if (at := (dts + repeat * self.ticks) * base) >= seconds:
                    return
                packet: Packet[Any] = Packet(contents)
                packet.stream, packet.time_base, packet.is_keyframe, packet.duration = into, base, is_keyframe, duration
                packet.pts, packet.dts = pts + repeat * self.ticks, dts + repeat * self.ticks
                yield at, packet


@contextmanager
def spare_folder() -> Iterator[Path]:
    """A folder for videos that are soon gone."""
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="videos-", dir=CACHE) as name:
        yield Path(name)


def write(video: Video, path: Path, *, seconds: int) -> None:
    """Write a video of this length."""
    with (
        av.open(str(_drawn(video.reel))) as pictures,
        av.open(str(_heard(video.sound))) as sound,
        av.open(str(path), "w", options=video.options) as out,
    ):
        tracks = [Track.of(pictures), Track.of(sound)]
        streams = [out.add_stream_from_template(track.stream, opaque=True) for track in tracks]
        repeated = (track.repeated(stream, seconds=seconds) for track, stream in zip(tracks, streams, strict=True))
        for _, packet in merge(*repeated, key=itemgetter(0)):
            out.mux(packet)


def _drawn(reel: Reel) -> Path:
    """Where a reel lies; it is encoded if it is missing."""
    target = CACHE / reel.name
    if not target.exists():
        (source,) = made([Clip(reel.width, reel.height, DRAWN_SECONDS, 0)])
        _encode(reel, source, unfinished := target.with_suffix(".part.mp4"))
        unfinished.rename(target)
    return target


def _encode(reel: Reel, source: Path, path: Path) -> None:
    encoder, options = ENCODERS[reel.codec]
    with av.open(str(path), "w") as out:
        stream = out.add_stream(encoder, rate=FPS, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = reel.width, reel.height, "yuv420p", GOP
        stream.codec_context.time_base = Fraction(1, FPS)
        if "crf" not in options:
            stream.codec_context.bit_rate = FULL_HD_BITS_PER_SECOND * reel.width * reel.height // (1920 * 1080)
        for frame in _grainy(source):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _grainy(source: Path) -> Iterator[av.VideoFrame]:
    random = np.random.default_rng(1)
    with av.open(str(source)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            planes = frame.to_ndarray(format="yuv420p").astype(np.int16)
            planes[: frame.height] += _grain(random, frame.height, frame.width)
            grainy = av.VideoFrame.from_ndarray(np.clip(planes, 0, 255).astype(np.uint8), format="yuv420p")
            grainy.pts, grainy.time_base = number, Fraction(1, FPS)
            yield grainy


def _grain(random: np.random.Generator, height: int, width: int) -> npt.NDArray[np.int16]:
    return (random.standard_normal((height, width), np.float32) * GRAIN).round().astype(np.int16)


def _heard(encoder: str) -> Path:
    """Where some seconds of sound lie; they are encoded if they are missing."""
    target = CACHE / f"sound.{SOUNDS[encoder]}"
    if not target.exists():
        unfinished = target.with_suffix(f".part.{SOUNDS[encoder]}")
        _encode_sound(encoder, unfinished)
        unfinished.rename(target)
    return target


def _encode_sound(encoder: str, path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (1, DRAWN_SECONDS * SOUND_RATE)).astype(np.float32)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(encoder, rate=SOUND_RATE)
        assert isinstance(stream, av.AudioStream)
        stream.layout, stream.codec_context.bit_rate = "mono", SOUND_BITS_PER_SECOND
        stream.format = "fltp" if encoder == "aac" else "flt"
        frame = av.AudioFrame.from_ndarray(noise, format=stream.format.name, layout="mono")
        frame.rate, frame.pts = SOUND_RATE, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
