"""How fast an inventory becomes a plan that lies in storage: read, filtered, grouped into shards, written, on all cores of this machine."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from processes import tree_cpu_seconds
from producer_films import wanted
from producer_inventory import SOURCE, write_inventory
from producer_rates import dollars_per_billion
from s3_listing import listed_s3

HERE = Path(__file__).parent
PLANS = "plans"
JOB = f"s3://{PLANS}/job"
BILLION = 1_000_000_000


def child(*words: str) -> list[str]:
    """The command line of a producer."""
    return [sys.executable, str(HERE / "producer_child.py"), *words]


def environment() -> dict[str, str]:
    """That of this process, with the fleet's rooms in reach."""
    return os.environ | {"PYTHONPATH": f"{HERE.parent}:{HERE}"}


def measure_plan(*, rows: int, file_rows: int) -> list[dict[str, Any]]:
    """Plan an inventory of so many rows by a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_inventory(Path(folder), films=BILLION, listed=rows, file_rows=file_rows)
        with listed_s3(Path(folder), films=BILLION) as s3:
            served = tree_cpu_seconds(s3.pid)
            ended = subprocess.run(child(SOURCE, JOB), capture_output=True, text=True, check=False, env=environment())
            if ended.returncode:
                raise SystemExit(f"The producer ended with status {ended.returncode}: {ended.stderr}")
            requests, served = s3.requests(), tree_cpu_seconds(s3.pid) - served
            plan = plan_bytes(Path(folder))
    told = json.loads(ended.stdout)
    videos = told["videos"]
    assert videos == wanted(rows)
    return [
        {
            "case": "inventory to plan, videos per second",
            "rows": rows,
            "videos": videos,
            "videos_per_second": round(videos / told["seconds"]),
            "aim": "at least 150000 on 2 cores",
            "videos_per_cpu_second": round(videos / told["cpu_seconds"]),
            "stand_in_cpu_seconds": round(served, 2),
            "videos_per_shard": round(videos / told["shards"], 1),
            "parts": told["parts"],
            "plan_bytes_per_video": round(plan / videos, 1),
            "peak_rss_mb": told["peak_rss_mb"],
            "requests": requests,
            "dollars_per_billion": dollars_per_billion(requests, videos=videos),
        }
    ]


def plan_bytes(folder: Path) -> int:
    """How large the plan is in the stand-in's bucket."""
    return sum(file.stat().st_size for file in (folder / PLANS).iterdir() if file.is_file())
