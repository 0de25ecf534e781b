"""Looks at the GPUs while something runs, through nvidia-smi; where there is none it sees nothing."""

import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field
from statistics import fmean
from typing import Self

FIELDS = {"utilization.gpu": "gpu_busy_percent", "power.draw": "gpu_watts", "memory.used": "gpu_memory_mib", "clocks.sm": "gpu_sm_mhz"}
"""What is asked of nvidia-smi, and what we call it. Busy means that some kernel ran, not that all of the GPU did."""
EVERY_MS = 250


@dataclass(slots=True)
class Watch:
    """What was seen of the first GPU between entering and leaving."""

    seen: list[tuple[float, tuple[float, ...]]] = field(default_factory=list)
    _process: "subprocess.Popen[str] | None" = None
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Begin to look."""
        if shutil.which("nvidia-smi"):
            asked = [f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits", f"--loop-ms={EVERY_MS}", "--id=0"]
            self._process = subprocess.Popen(["nvidia-smi", *asked], stdout=subprocess.PIPE, text=True)  # noqa: S607 - on the path, as asked
            self._thread = threading.Thread(target=self._read, name="gpu-watch", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look no more."""
        if self._process is not None and self._thread is not None:
            self._process.terminate()
            self._process.wait()
            self._thread.join()

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.seen.append((time.monotonic(), parsed(line)))

    def figures(self, begin: float, end: float) -> dict[str, float]:
        """Averages of what was seen in a window of `time.monotonic`."""
        inside = [values for at, values in self.seen if begin <= at <= end]
        columns = zip(*inside, strict=True)
        return {name: round(fmean(column), 1) for name, column in zip(FIELDS.values(), columns, strict=False)}


def parsed(line: str) -> tuple[float, ...]:
    """Numbers of one line; what a GPU does not tell is nan."""
    return tuple(float(word) if word.strip()[:1].isdigit() else float("nan") for word in line.split(","))


def gpu() -> dict[str, str]:
    """The first GPU's name, memory and driver."""
    if not shutil.which("nvidia-smi"):
        return {}
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version,power.limit", "--format=csv,noheader", "--id=0"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(zip(("gpu", "gpu_memory", "driver", "power_limit"), map(str.strip, said.split(",")), strict=True))
