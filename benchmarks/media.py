"""What keyframes cost in bytes, requests, CPU and time, beside other ways to them, paired in one run.

bytes_over_bound, requests
    What a stand-in for S3 (s3_stand_in.py) sent and was asked for while the fleet's own reader took 16 keyframes of a video, evenly
    spread. The bound is the file's index (moov, sidx and mfra; Tracks and Cues) and the packets of these very keyframes, which a demuxing
    of the whole file finds (media_bounds.py). `whole_over_bound` is what a whole download comes to.
cpu_ratio_ffmpeg, cpu_ratio_inprocess, cpu_ratio_torchcodec, cpu_ratio_decord
    CPU of all keyframes of a video in a local file, decoded, scaled to the recipe's size by area and encoded as JPEG of like size: of
    this process, the fork server and its child, against the ffmpeg command line (`-skip_frame nokey`, one thread), PyAV in this process
    the leanest way there is, and libraries that end at RGB of full size. Ways take turns, another one first in each round; each figure is
    the median of the rounds' ratios. `..._less_start` spares ffmpeg what it takes to start and do nothing.
wall_ratio_whole
    Wall time to get what 16 keyframes of each of many objects need, 8 objects at a time, at 30 ms latency, against downloading the objects
    whole with the same client: ours asks for what the reader had asked in a run before, in its order. `..._decoded` is the whole way to
    JPEGs on both sides; there the machine's cores bound both, since the pictures are the same.
"""

import argparse
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from media_bytes import MOST_PER_VIDEO, measure_bytes
from media_cpu import measure_cpu
from media_libraries import LIBRARIES, Library
from media_rivals import NOT_INSTALLED, ffmpeg_version
from media_wall import THREADS, loads, measure_wall
from processes import this_machine
from report import show

from workers.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    width: int
    height: int
    cpu_seconds_of_video: int
    rounds: int
    small_objects: tuple[int, int]
    """How many, of how many bytes."""
    large_objects: tuple[int, int]


FULL = Scale(1920, 1080, 60, 5, (32, 16_000_000), (8, 300_000_000))
QUICK = Scale(192, 108, 12, 1, (4, 100_000), (2, 5_000_000))
QUICK_SECONDS = 180


def measure(scale: Scale, *, seconds: int, libraries: dict[str, Library | None]) -> list[dict[str, object]]:
    """Measure all cases."""
    size = {"width": scale.width, "height": scale.height}
    return [
        *measure_bytes(seconds=seconds, **size),
        *measure_cpu(seconds=scale.cpu_seconds_of_video, rounds=scale.rounds, libraries=libraries, **size),
        *measure_wall(loads(small=scale.small_objects, large=scale.large_objects), rounds=min(3, scale.rounds), **size),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what keyframes cost.")
    parser.add_argument("--minutes", type=int, default=3, help="length of the videos whose bytes are counted")
    parser.add_argument("--libraries-python", default=sys.executable, help="a Python that has torchcodec or decord, if this one has not")
    parser.add_argument("--quick", action="store_true", help="tiny videos, one round: shows that it works, measures nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    scale, seconds = (QUICK, QUICK_SECONDS) if asked.quick else (FULL, 60 * asked.minutes)
    machine = asdict(this_machine())
    with ExitStack() as stack:
        libraries = {name: stack.enter_context(Library.started(name, asked.libraries_python)) for name in LIBRARIES}
        cases = measure(scale, seconds=seconds, libraries=libraries)
    versions = {"ffmpeg": ffmpeg_version()} | {name: one.version if one else NOT_INSTALLED for name, one in libraries.items()}
    settings = {"seconds_of_video": seconds, "most_per_video": MOST_PER_VIDEO, "threads": THREADS} | asdict(scale)
    settings |= {"read_costs": asdict(WorkerSettings().read_costs)}
    show({"cases": cases, "settings": settings, "machine": machine, "rivals": versions}, as_json=asked.json)
    sys.exit(any("failed" in case for case in cases))


if __name__ == "__main__":
    main()
