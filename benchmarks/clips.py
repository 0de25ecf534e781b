"""Clips for the benchmarks: 720p and 1080p H.264 with a keyframe every 48 frames, drawn once and kept in the temporary folder.

A soft texture pans under drifting blobs and sensor noise, so that keyframes cost about as much to decode as a camera's do.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

FPS = 24
DRAWN_SECONDS = 6
"""Clips are as many times as long; what is drawn repeats."""
GOP = 48
NOISE = 3.0
"""Standard deviation of the sensor noise, in steps of 8-bit luma."""
OCTAVES = (6, 24, 96, 384)
CODEC_OPTIONS = {"preset": "veryfast", "crf": "23", "sc_threshold": "0"}
CACHE = Path(tempfile.gettempdir()) / "framefleet-benchmark-clips"

Plane = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Clip:
    """One distinct clip."""

    width: int
    height: int
    seconds: int
    seed: int

    @property
    def name(self) -> str:
        """Its file name, which says all that it is made of."""
        return f"{self.height}p-{self.seconds}s-{self.seed}.mp4"

    @property
    def keyframes(self) -> int:
        """How many keyframes it has."""
        return -(-self.seconds * FPS // GOP)


def distinct(seconds: int) -> list[Clip]:
    """Half 720p, half 1080p."""
    return [Clip(width, height, seconds, seed) for seed in range(3) for width, height in ((1280, 720), (1920, 1080))]


def made(clips: list[Clip]) -> list[Path]:
    """Where the clips lie; those that are missing are made."""
    CACHE.mkdir(exist_ok=True)
    for clip in clips:
        target = CACHE / clip.name
        if not target.exists():
            _write(clip, unfinished := target.with_suffix(".part.mp4"))
            unfinished.rename(target)
    return [CACHE / clip.name for clip in clips]


def spread(files: list[Path], folder: Path, *, count: int) -> None:
    """Fill a folder with `count` videos, the files in turn, by hard links where the file system has them."""
    folder.mkdir()
    for number in range(count):
        source, target = files[number % len(files)], folder / f"{number:06d}.mp4"
        try:
            os.link(source, target)
        except OSError:
            shutil.copy(source, target)


def _write(clip: Clip, path: Path) -> None:
    """Encode some seconds, and repeat their packets until the clip is long enough: drawing takes longer than decoding."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=CODEC_OPTIONS)
        if not isinstance(stream, av.VideoStream):
            raise TypeError("libx264 is no video codec")
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = clip.width, clip.height, "yuv420p", GOP
        stream.codec_context.time_base = Fraction(1, FPS)
        frames = [av.VideoFrame.from_ndarray(pixels, format="rgb24") for pixels in _pictures(clip)]
        packets = [packet for frame in (*frames, None) for packet in stream.encode(frame)]
        drawn = [(bytes(packet), packet.pts or 0, packet.dts or 0, packet.is_keyframe) for packet in packets]
        for repeat in range(clip.seconds // DRAWN_SECONDS):
            for contents, pts, dts, is_keyframe in drawn:
                container.mux(_packet(stream, contents, pts, dts, is_keyframe=is_keyframe, later=repeat * DRAWN_SECONDS * FPS))


def _packet(stream: av.VideoStream, contents: bytes, pts: int, dts: int, *, is_keyframe: bool, later: int) -> "av.Packet[av.VideoStream]":
    packet = av.Packet(contents)
    packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, FPS), is_keyframe
    packet.pts, packet.dts = pts + later, dts + later
    return packet


def _pictures(clip: Clip) -> Iterator[npt.NDArray[np.uint8]]:
    random = np.random.default_rng(clip.seed)
    margin = DRAWN_SECONDS * FPS
    scene = _texture(random, clip.width + margin, clip.height + margin)
    noise = random.normal(0, NOISE, (2 * clip.height, 2 * clip.width, 1)).round().astype(np.int16)
    for number in range(DRAWN_SECONDS * FPS):
        view = scene[number // 2 : number // 2 + clip.height, number : number + clip.width].copy()
        _blob(view, x=(number * 5 + 200) % clip.width, y=clip.height // 3, radius=clip.height // 8)
        down, right = random.integers(0, clip.height), random.integers(0, clip.width)
        yield np.clip(view + noise[down : down + clip.height, right : right + clip.width], 0, 255).astype(np.uint8)


def _texture(random: np.random.Generator, width: int, height: int) -> Plane:
    """Coloured noise of several octaves, the finer the weaker, as natural pictures have it."""
    scene = np.full((height, width, 3), 120, np.float32)
    for octave, cells in enumerate(OCTAVES):
        for channel in range(3):
            grid = random.normal(0, 48 / 2.5**octave, (cells, 2 * cells)).astype(np.float32)
            scene[..., channel] += np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
    return scene.astype(np.int16)


def _blob(view: Plane, *, x: int, y: int, radius: int) -> None:
    rows, columns = np.ogrid[: view.shape[0], : view.shape[1]]
    view[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] //= 2
