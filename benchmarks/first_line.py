"""Seconds from `framefleet caption` on three small clips to the first committed line, with the opencv engine.

The clock starts with the process, so that imports, the private Redis, the worker and the engine's models are in it; it stops when the first
object with a line in it is seen in the output folder.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from processes import this_machine
from report import show

from workers.media.samples import SAMPLES, write_sample

CLIPS = 3
LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 120.0


def seconds_to_first_line(clips: Path, out: Path) -> float:
    """Caption a folder once, from nothing, and wait for the run's end too, which leaves the machine to the next."""
    command = [sys.executable, "-m", "fleet.cli", "caption", str(clips), "--out", str(out), "--engine", "opencv"]
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while not has_line(out):
            if process.poll() is not None or time.monotonic() - begun > PATIENCE_SECONDS:
                process.kill()
                raise SystemExit(f"No line was committed. {process.communicate()[1].decode()}")
            time.sleep(LOOK_SECONDS)
        seconds = time.monotonic() - begun
        process.communicate()
    return seconds


def has_line(out: Path) -> bool:
    """Whether an object with a line in it is committed."""
    return any(path.stat().st_size for path in out.glob("captions/*/*.jsonl"))


def measure(runs: int) -> list[float]:
    """Run so many times."""
    with tempfile.TemporaryDirectory(prefix="framefleet-benchmark-") as name:
        folder = Path(name)
        (folder / "clips").mkdir()
        for sample in SAMPLES[:CLIPS]:
            write_sample(sample, folder / "clips" / sample.name)
        return [seconds_to_first_line(folder / "clips", folder / f"out-{number}") for number in range(runs)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the time to the first committed line.")
    parser.add_argument("--runs", type=int, default=5, help="how often; the median counts")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    machine = asdict(this_machine())
    seconds = measure(asked.runs)
    result = {"first_line_seconds": round(statistics.median(seconds), 2), "runs": [round(one, 2) for one in seconds], "machine": machine}
    show(result, as_json=asked.json)


if __name__ == "__main__":
    main()
