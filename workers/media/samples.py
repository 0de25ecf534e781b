"""Little clips of our own making, so that the fleet can be tried where there are no videos."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FPS = 12
SECONDS = 6
Draw = Callable[[ImageDraw.ImageDraw, int, int, float], None]


@dataclass(frozen=True, slots=True)
class Sample:
    """One clip to make: its file name decides the container."""

    name: str
    codec: str
    width: int
    height: int
    draw: Draw


def title_card(draw: ImageDraw.ImageDraw, width: int, height: int, done: float) -> None:
    """A dark card with a title that slides in."""
    draw.rectangle((0, 0, width, height), fill=(18, 28, 60))
    draw.text((width * (0.1 + 0.1 * done), height * 0.35), "HARVEST REPORT", font=_font(height / 8), fill=(240, 240, 230))
    draw.text((width * 0.2, height * 0.55), f"Episode {1 + int(done * 3)}", font=_font(height / 12), fill=(230, 180, 40))


def meadow(draw: ImageDraw.ImageDraw, width: int, height: int, done: float) -> None:
    """Sky, grass and a sun that crosses."""
    draw.rectangle((0, 0, width, height * 0.6), fill=(120, 180, 235))
    draw.rectangle((0, height * 0.6, width, height), fill=(60, 150, 60))
    radius, centre = height * 0.1, width * (0.1 + 0.8 * done)
    draw.ellipse((centre - radius, height * 0.12, centre + radius, height * 0.12 + 2 * radius), fill=(250, 220, 60))


def night_traffic(draw: ImageDraw.ImageDraw, width: int, height: int, done: float) -> None:
    """Red and white lights on black."""
    draw.rectangle((0, 0, width, height), fill=(6, 6, 10))
    for lane in range(6):
        x, y = width * ((lane * 0.17 + done * (1 if lane % 2 else -1)) % 1), height * (0.3 + 0.1 * lane)
        draw.ellipse((x, y, x + height * 0.06, y + height * 0.06), fill=(235, 30, 30) if lane % 2 else (245, 245, 235))


def chart(draw: ImageDraw.ImageDraw, width: int, height: int, done: float) -> None:
    """A bar chart that grows, with a heading."""
    draw.rectangle((0, 0, width, height), fill=(250, 250, 250))
    draw.text((width * 0.08, height * 0.05), "Quarterly sales", font=_font(height / 11), fill=(30, 30, 30))
    for bar, share in enumerate((0.3, 0.5, 0.4, 0.7)):
        left, top = width * (0.12 + 0.2 * bar), height * (0.9 - share * done * 0.8)
        draw.rectangle((left, top, left + width * 0.12, height * 0.9), fill=(40, 90, 200))


QUICKLY = {
    "libx264": {"preset": "veryfast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "mpeg4": {},
}

SAMPLES = (
    Sample("title-card.mp4", "libx264", 1280, 720, title_card),
    Sample("meadow.mkv", "libx265", 960, 540, meadow),
    Sample("night-traffic.webm", "libvpx-vp9", 640, 360, night_traffic),
    Sample("portrait-chart.mov", "libx264", 540, 960, chart),
    Sample("old-format.avi", "mpeg4", 640, 480, title_card),
)


def write_samples(folder: Path) -> None:
    """Write the samples, and a file that is broken on purpose, into a folder; what is there already stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample in SAMPLES:
        if not (folder / sample.name).exists():
            write_sample(sample, folder / sample.name)
    whole = (folder / SAMPLES[0].name).read_bytes()
    (folder / "broken.mp4").write_bytes(whole[: len(whole) // 2])


def write_sample(sample: Sample, path: Path) -> None:
    """Write one clip, with a keyframe every second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(sample.codec, rate=FPS, options=QUICKLY[sample.codec])
        if not isinstance(stream, av.VideoStream):
            raise TypeError(f"{sample.codec} is no video codec")
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = sample.width, sample.height, "yuv420p", FPS
        stream.codec_context.time_base = Fraction(1, FPS)
        for picture in _pictures(sample):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")))
        container.mux(stream.encode(None))


def _pictures(sample: Sample) -> Iterator[Image.Image]:
    for number in range(FPS * SECONDS):
        image = Image.new("RGB", (sample.width, sample.height))
        sample.draw(ImageDraw.Draw(image), sample.width, sample.height, number / (FPS * SECONDS))
        yield image


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
