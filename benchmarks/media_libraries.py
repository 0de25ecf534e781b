"""torchcodec and decord as rivals, in a process of their own and only where one has them: the fleet does not depend on them.

They end at RGB of full size, which spares them scaling and encoding. This file needs nothing of the house: their Python may be another.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self

LIBRARIES = ("torchcodec", "decord")


@dataclass(frozen=True, slots=True)
class Cost:
    """What some pictures took."""

    cpu_seconds: float
    frames: int
    picture_bytes: int = 0


class Library:
    """A process that has torchcodec or decord, and takes keyframes of files one after the other."""

    def __init__(self, process: "subprocess.Popen[str]", version: str) -> None:
        self.version = version
        self._process = process

    @classmethod
    @contextmanager
    def started(cls, name: str, python: str) -> Iterator[Self | None]:
        """Start it with this interpreter, for as long as the block runs; None where the library cannot be had."""
        command = [python, __file__, name]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]  # pipes by name
            version = process.stdout.readline().strip()
            yield cls(process, version) if version else None
            process.stdin.close()

    def keyframes(self, path: Path) -> Cost:
        """Have it take all keyframes of a file."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(path, file=self._process.stdin, flush=True)
        return Cost(**json.loads(self._process.stdout.readline()))


def _torchcodec() -> Callable[[str], int]:
    from torchcodec.decoders import VideoDecoder  # noqa: PLC0415 - only where it is asked for

    def take(path: str) -> int:
        decoder = VideoDecoder(path, num_ffmpeg_threads=1)
        keys = decoder._get_key_frame_indices()  # noqa: SLF001 - there is no other way to them
        return len(decoder.get_frames_at(keys.tolist()).data)

    return take


def _decord() -> Callable[[str], int]:
    from decord import VideoReader  # noqa: PLC0415

    def take(path: str) -> int:
        reader = VideoReader(path, num_threads=1)
        return len(reader.get_batch(reader.get_key_indices()).asnumpy())

    return take


def main(name: str) -> None:
    """Say the library's version, then what each file named on standard input took."""
    take = {"torchcodec": _torchcodec, "decord": _decord}[name]()
    print(version(name), flush=True)
    for line in sys.stdin:
        begun = time.process_time()
        frames = take(line.rstrip("\n"))
        print(json.dumps({"cpu_seconds": time.process_time() - begun, "frames": frames}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
