"""What an audit of a large job takes: memory, time.

A job of so many videos is laid into a folder (producer_job.py), each with one captioned frame, so that the audit has a plan, a committed
object per shard and a line per video to read. `framefleet audit` runs in a process of its own, whose peak of resident memory (VmHWM) the
kernel keeps. `--videos` twice, such as 1000000 and 10000000, shows what it grows with.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from processes import rss_mb_peak, this_machine, tree_cpu_seconds
from producer_job import VIDEOS_PER_SHARD, build
from report import show

ROOT = Path(__file__).parent.parent
LOOK_SECONDS = 0.1


def audited(videos: int, *, frames: int, beside: Path | None) -> dict[str, Any]:
    """Build a job, audit it and remove it."""
    with tempfile.TemporaryDirectory(dir=beside, prefix="framefleet-audit-") as folder:
        begun = time.monotonic()
        build(Path(folder), videos=videos, frames=frames)
        built_seconds = time.monotonic() - begun
        disk = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        found = audit(Path(folder))
    assert found["report"]["videos"] == found["report"]["captioned_videos"] == videos
    return {
        "videos": videos,
        "frames": found["report"]["frames"],
        "objects": found["report"]["objects"],
        "peak_rss_mb": found["peak_rss_mb"],
        "seconds": round(found["seconds"], 1),
        "cpu_seconds": round(found["cpu_seconds"], 1),
        "videos_per_second": round(videos / found["seconds"]),
        "disk_mb": round(disk / 1e6),
        "built_in_seconds": round(built_seconds, 1),
    }


def audit(folder: Path) -> dict[str, Any]:
    """Run the command to its end, and look at its memory and CPU meanwhile."""
    command = [sys.executable, "-m", "fleet.cli", "audit", str(folder), "--json"]
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        begun = time.monotonic()
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=complained, env=os.environ | {"PYTHONPATH": str(ROOT)})
        peak = cpu = 0.0
        while process.poll() is None:
            peak = max(peak, rss_mb_peak(process.pid))
            cpu = max(cpu, tree_cpu_seconds(process.pid))
            time.sleep(LOOK_SECONDS)
        seconds = time.monotonic() - begun
        said.seek(0)
        complained.seek(0)
        if process.returncode:
            raise SystemExit(f"The audit ended with status {process.returncode}: {complained.read()}{said.read()}")
        return {"report": json.load(said), "peak_rss_mb": round(peak), "seconds": seconds, "cpu_seconds": cpu}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, action="append", help="how many; may be given several times [1000000]")
    parser.add_argument("--frames", type=int, default=1, help="captioned frames of each video")
    parser.add_argument("--beside", type=Path, help="a folder with room: 10 million videos take about 8 GB [the temporary folder]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    cases = [audited(videos, frames=asked.frames, beside=asked.beside) for videos in asked.videos or [1_000_000]]
    settings = {"videos_per_shard": VIDEOS_PER_SHARD, "aim_peak_rss_mb": 300}
    show({"audits": cases, "settings": settings, "machine": asdict(this_machine())}, as_json=asked.json)


if __name__ == "__main__":
    main()
