"""Square clips of keyframes no two of which are alike: a picture that vLLM has seen before would come out of its prefix cache.

Each second has one picture and every other one is a keyframe, so that drawing thousands of them takes seconds on many cores. Only keyframes
are fetched and decoded, so what lies between them hardly matters.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 1024
"""Width and height, which are scaled down to the recipe's 896."""
KEYFRAMES = 16
"""Of each clip, two seconds apart."""
PICTURES_A_KEYFRAME = 2
NOISE = 3.0
"""Standard deviation of the noise, in steps of 8 bits."""
PATCHES = {4: 45.0, 64: 12.0}
"""Patches across the picture, and how much they differ."""
CODEC_OPTIONS = {"preset": "veryfast", "crf": "23", "sc_threshold": "0"}


def draw(folder: Path, *, clips: int, first: int = 0) -> None:
    """Fill a new folder with clips; those of other numbers are others."""
    folder.mkdir(parents=True)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(partial(write, folder), range(first, first + clips)))


def write(folder: Path, number: int) -> None:
    """Draw and encode one clip."""
    with av.open(str(folder / f"{number:06d}.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=1, options=CODEC_OPTIONS)
        if not isinstance(stream, av.VideoStream):
            raise TypeError("libx264 is no video codec")
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = SIDE, SIDE, "yuv420p", PICTURES_A_KEYFRAME
        stream.codec_context.time_base = Fraction(1, 1)
        stream.codec_context.thread_count = 1
        random = np.random.default_rng(number)
        for _ in range(KEYFRAMES):
            frame = picture(random)
            for _ in range(PICTURES_A_KEYFRAME):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def picture(random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Soft patches of colour, coarse and fine, under noise: a keyframe of it is about as large as a camera's."""
    scene = sum(_patches(random, cells, strength) for cells, strength in PATCHES.items())
    down, right = random.integers(0, SIDE, 2)
    return np.clip(120 + scene + _noise()[down : down + SIDE, right : right + SIDE], 0, 255).astype(np.uint8)


@cache
def _noise() -> npt.NDArray[np.float32]:
    """A field that each picture has another part of."""
    return np.random.default_rng(0).normal(0, NOISE, (2 * SIDE, 2 * SIDE, 1)).astype(np.float32)


def _patches(random: np.random.Generator, cells: int, strength: float) -> npt.NDArray[np.float32]:
    grids = (random.normal(0, strength, (cells, cells)).astype(np.float32) for _ in range(3))
    return np.stack([np.asarray(Image.fromarray(grid).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for grid in grids], axis=-1)
