"""The bare loop: what captioning a clip's keyframes costs in PyAV and simplejpeg alone, stage by stage.

Runs beside the pipeline as a process of its own, so that both meet the same machine at the same time: other tenants, caches and clock
rate change a frame's cost by more than what is to be measured. It goes over each clip three times: to have it warm, in haste, and at the
pace of the pipeline's engine, since a core that rested between two frames is slower. It says its means when its standard input closes.
"""

import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Self

import av
import numpy as np
import simplejpeg
from av.stream import Discard
from av.video.reformatter import Interpolation, VideoReformatter

from schemas.recipe import load_recipe
from workers.media.pictures.rendering import fit

PACE_SECONDS = 0.05
"""From the beginning of a frame to that of the next: the pipeline's engine takes 20 a second."""
PAUSE = 1.5
"""How long it rests after a clip, in times of what the clip took, to leave the machine to the pipeline."""
ROUNDS = 2
"""How often it goes over all clips at least, even if told to end."""
LEAN = {"probesize": "32", "analyzeduration": "0", "fpsprobesize": "0", "skip_frame": "all"}
"""Open by the header alone; without the last FFmpeg decodes a frame to learn what the header says."""
RECIPE = load_recipe("vidcap-12b")


@dataclass(slots=True)
class Laps:
    """CPU seconds by stage, of clips that were gone over so often and had so many keyframes."""

    passes: int = 0
    frames: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def lap(self, stage: str) -> Iterator[None]:
        """Add what the block takes to a stage."""
        begun = time.thread_time()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.thread_time() - begun


class Pace:
    """Holds back whoever calls it after each frame."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def __call__(self) -> None:
        """Wait until the next frame is due."""
        time.sleep(max(0.0, self._begun + PACE_SECONDS - time.monotonic()))
        self._begun = time.monotonic()


def go_over(path: str, laps: Laps, wait: Callable[[], None] = lambda: None) -> None:
    """Take a clip's keyframes the leanest way there is: open by the header, demux by the index, decode, scale to BGR, encode.

    Each frame is scaled and encoded a second time by way of RGB, which is what anybody would do.
    """
    reformatters = {"bgr24": VideoReformatter(), "rgb24": VideoReformatter()}
    with laps.lap("open"):
        container = av.open(path, options=LEAN)
        stream = container.streams.video[0]
        stream.codec_context.thread_count, stream.codec_context.skip_frame = 1, "NONKEY"
        stream.discard = Discard.nonkey
        keys = [entry for entry in stream.index_entries if entry.is_keyframe]
    packets = container.demux(stream)
    for key in keys:
        with laps.lap("read"):
            packet = next(packet for packet in packets if (packet.pos or 0) >= key.pos)
        assert (packet.pos, packet.size) == (key.pos, key.size)
        with laps.lap("decode"):
            frame = [*stream.codec_context.decode(packet), *stream.codec_context.decode(None)][0]
            stream.codec_context.flush_buffers()
        width, height = fit((frame.width, frame.height), aspect=1.0, most=(RECIPE.image.max_width, RECIPE.image.max_height))
        for way, form in (("", "bgr24"), ("plain ", "rgb24")):
            with laps.lap(f"{way}scale"):
                scaled = reformatters[form].reformat(frame, width, height, form, interpolation=Interpolation.AREA, threads=1)
            plane = scaled.planes[0]
            pixels = np.ndarray((height, width, 3), np.uint8, buffer=plane, strides=(plane.line_size, 3, 1))  # type: ignore[arg-type]  # a Buffer
            with laps.lap(f"{way}encode"):
                simplejpeg.encode_jpeg(pixels, quality=RECIPE.image.jpeg_quality, colorspace=form[:3].upper(), colorsubsampling="420")
        laps.frames += 1
        wait()
    with laps.lap("open"):
        container.close()
    laps.passes += 1


def go_over_as_anybody_would(path: str, laps: Laps, wait: Callable[[], None] = lambda: None) -> None:
    """Take them the way of the manual: open, demux all, decode what is a keyframe."""
    with laps.lap("plain open, demux and decode"), av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.skip_frame = "NONKEY"
        for packet in container.demux(stream):
            if packet.is_keyframe or not packet.size:
                stream.codec_context.decode(packet)
                wait()


class Bare:
    """The bare loop as a process of its own, for as long as a block runs."""

    def __init__(self, files: list[Path]) -> None:
        self._command = [sys.executable, __file__, *map(str, files)]
        self._laps: dict[str, list[Laps]] = {}

    def __enter__(self) -> Self:
        """Start it."""
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        """Have it say its means."""
        said = json.loads(self._process.communicate()[0])
        self._laps = {manner: [Laps(**laps) for laps in clips] for manner, clips in said.items()}

    @property
    def passes(self) -> int:
        """How often the clip that it saw least was gone over in each manner."""
        return min(laps.passes for laps in self._laps["paced"])

    def ms_per_frame(self, manner: str) -> dict[str, float]:
        """CPU by stage of a frame, `paced` or `hurried`; every clip counts the same, however often it was gone over."""
        clips = self._laps[manner]
        frames = sum(laps.frames / laps.passes for laps in clips)
        return {stage: sum(laps.seconds[stage] / laps.passes for laps in clips) * 1000 / frames for stage in clips[0].seconds}


def main(paths: list[str]) -> None:
    """Go over the clips in turn until nobody listens any more."""
    paced, hurried = ({path: Laps() for path in paths} for _ in range(2))
    for number, path in enumerate(cycle(paths)):
        if number >= ROUNDS * len(paths) and _told_to_end():
            break
        begun = time.monotonic()
        go_over(path, Laps())
        for way in (go_over, go_over_as_anybody_would):
            way(path, hurried[path])
            way(path, paced[path], Pace())
        time.sleep(PAUSE * (time.monotonic() - begun))
    said = {"paced": paced, "hurried": hurried}
    json.dump({manner: [asdict(laps) for laps in clips.values()] for manner, clips in said.items()}, sys.stdout)


def _told_to_end() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


if __name__ == "__main__":
    main(sys.argv[1:])
