"""Other ways to a video's keyframes: PyAV in this process and the ffmpeg command line, both to JPEGs of the recipe's size."""

import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

import av
import numpy as np
import simplejpeg
from av.stream import Discard
from av.video.reformatter import Interpolation, VideoReformatter
from bare import LEAN, RECIPE
from media_libraries import Cost

from workers.media.pictures.rendering import fit
from workers.media.sampling import choose

NOT_INSTALLED = "not installed"
FFMPEG_VERSION = ["ffmpeg", "-version"]
JPEG_BEGINS = b"\xff\xd8\xff"
MJPEG_QUANTIZER = "2"
"""The best that it does unasked: files three quarters as large as those of quality 90."""
MOST = (RECIPE.image.max_width, RECIPE.image.max_height)


def in_process(source: Path | IO[bytes], *, most: int = 0) -> Cost:
    """Take keyframes the leanest way there is in PyAV, see bare.py; at most so many, the same that the fleet chooses."""
    begun, sizes, reformatter = time.thread_time(), list[int](), VideoReformatter()
    with av.open(str(source) if isinstance(source, Path) else source, "r", options=LEAN) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count, stream.codec_context.skip_frame = 1, "NONKEY"
        stream.discard = Discard.nonkey
        keys = [entry for entry in stream.index_entries if entry.is_keyframe]
        chosen = {keys[one].pos for one in choose([float(key.timestamp) for key in keys], min_gap_seconds=0, max_per_video=most)}
        for packet in container.demux(stream):
            if packet.pos in chosen:
                frame = [*stream.codec_context.decode(packet), *stream.codec_context.decode(None)][0]
                stream.codec_context.flush_buffers()
                sizes.append(len(_jpeg(frame, reformatter)))
    return Cost(time.thread_time() - begun, len(sizes), sum(sizes))


def _jpeg(frame: av.VideoFrame, reformatter: VideoReformatter) -> bytes:
    width, height = fit((frame.width, frame.height), aspect=1.0, most=MOST)
    scaled = reformatter.reformat(frame, width, height, "rgb24", interpolation=Interpolation.AREA, threads=1)
    plane = scaled.planes[0]
    pixels = np.ndarray((height, width, 3), np.uint8, buffer=plane, strides=(plane.line_size, 3, 1))  # type: ignore[arg-type]  # a Buffer
    return bytes(simplejpeg.encode_jpeg(pixels, quality=RECIPE.image.jpeg_quality, colorspace="RGB", colorsubsampling="420"))


def has_ffmpeg() -> bool:
    """Whether this machine has the command line."""
    return shutil.which("ffmpeg") is not None


def ffmpeg_version() -> str:
    """Which one it is."""
    if not has_ffmpeg():
        return NOT_INSTALLED
    return subprocess.run(FFMPEG_VERSION, capture_output=True, text=True, check=True).stdout.split()[2]


def by_ffmpeg(path: Path, *, size: tuple[int, int]) -> Cost:
    """Have the command line take all keyframes; `select` is for VP9, whose decoder does not heed `-skip_frame`."""
    width, height = size
    before = ["-threads", "1", "-skip_frame", "nokey", "-i", str(path), "-an", "-filter_threads", "1"]
    filters = ["-fps_mode", "passthrough", "-vf", f"select=key,scale={width}:{height}:flags=area"]
    after = ["-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-q:v", MJPEG_QUANTIZER, "-threads", "1", "-f", "image2pipe", "-"]
    with tempfile.TemporaryFile() as out:
        cpu = _cpu_of(["ffmpeg", "-nostdin", "-loglevel", "fatal", *before, *filters, *after], out)
        out.seek(0)
        pictures = out.read()
    return Cost(cpu, pictures.count(JPEG_BEGINS), len(pictures))


def ffmpeg_start() -> float:
    """CPU seconds that the command line takes to do nothing."""
    return _cpu_of(FFMPEG_VERSION, subprocess.DEVNULL)


def _cpu_of(command: list[str], out: IO[bytes] | int) -> float:
    """CPU seconds of a process, as the kernel adds them up when it has ended."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=out, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
