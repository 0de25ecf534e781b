"""Clips of still pictures drawn by a test: each is a keyframe, so that a policy has something to choose from."""

import io
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
from clips import Pixels

SECONDS_APART = 2
WIDTH, HEIGHT = 320, 240
LOOKS = {"dawn": (190, 120, 60), "day": (90, 160, 220), "night": (15, 15, 40)}


def view(look: str, *, brighter: int = 0) -> Pixels:
    """A plain scene with something in it, perhaps a little brighter than usual."""
    pixels = np.full((HEIGHT, WIDTH, 3), LOOKS[look], np.uint8)
    pixels[150:220, 40:120] = (60, 40, 30)
    return pixels + np.uint8(brighter)


def show(pictures: Sequence[Pixels], *, container: str = "mp4") -> bytes:
    """Encode pictures as a clip of nothing but keyframes, two seconds apart."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("libx264", rate=10)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt, stream.gop_size, stream.codec_context.thread_count = "yuv420p", 1, 1
        stream.codec_context.options = {"preset": "ultrafast", "crf": "18"}
        for number, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number * SECONDS_APART * 10, Fraction(1, 10)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()
