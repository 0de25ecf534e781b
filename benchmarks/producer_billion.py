"""A producer of a billion videos, as far as the clock allows: its memory and Redis's while a fleet of no work drains the queue.

run
    A producer reads a generated inventory, plans and publishes into a real Redis; workers that do nothing claim and end its messages as
    fast as they can. Memory is looked at four times a second. `rss_mb_first` is as of a fifth of the run, when all that is loaded once is
    loaded; flat is what `rss_mb_last` is beside it. `for_a_billion` multiplies what was measured: the plan's size, its parts, requests and
    dollars by videos, and hours by the rate.
resume (`--resume-at 0.5`)
    Seconds from the start of a producer that follows a killed one to its next message, see producer_resume.py.
"""

import argparse
import math
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from processes import TICKS_PER_SECOND, rss_mb, rss_mb_peak, this_machine, tree_cpu_seconds
from producer_drain import Drained, draining
from producer_films import wanted
from producer_inventory import FILE_ROWS, write_inventory
from producer_plan import BILLION, JOB, plan_bytes
from producer_rates import dollars_per_billion
from producer_resume import client, producing, resume
from report import show
from s3_listing import Lister, listed_s3

from broker.embedded import embedded_redis
from producer.plan import MOST_VIDEOS_IN_A_PART
from storage.job import open_job

ASSUMED_RATE = 100_000
"""Videos per second that a run of so many minutes brings an inventory for; if it is faster, the source ends early and that is said."""
LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one moment."""

    seconds: float
    rss_mb: float
    redis_mb: float
    cpu_seconds: float
    """Of the producer."""
    videos: int


def watched(process: "subprocess.Popen[bytes]", url: str, drained: Drained, *, seconds: float) -> list[Sample]:
    """Look at a producer and its Redis until it ends or the time is up."""
    begun, samples = time.monotonic(), list[Sample]()
    with client(url) as server:
        while (memory := rss_mb(process.pid)) and (now := time.monotonic() - begun) < seconds:
            redis_mb = int(server.info("memory")["used_memory"]) / 1e6
            samples.append(Sample(now, memory, redis_mb, tree_cpu_seconds(process.pid), drained.videos.value))
            time.sleep(LOOK_SECONDS)
    return samples


def run(*, minutes: float, rows: int, file_rows: int, workers: int) -> dict[str, Any]:
    """Let a producer go for so long, or to the inventory's end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inventory(folder, films=BILLION, listed=rows, file_rows=file_rows)
        with listed_s3(folder, films=BILLION) as s3, embedded_redis() as url, draining(url, workers=workers) as drained:
            with producing(url) as process:
                samples = watched(process, url, drained, seconds=60 * minutes)
                peak = max([rss_mb_peak(process.pid), *(sample.rss_mb for sample in samples)])
                ended = not rss_mb(process.pid)
                if ended:
                    process.wait()
            with client(url) as server:
                redis_peak = int(server.info("memory")["used_memory_peak"]) / 1e6
            return told(folder, s3, samples) | {
                "rss_mb_peak": round(peak),
                "redis_mb_peak": round(redis_peak, 1),
                "ended_by": "the end of the source" if ended else "the clock",
                "inventory_rows": rows,
                "inventory_videos": wanted(rows),
            }


def told(folder: Path, s3: Lister, samples: list[Sample]) -> dict[str, Any]:
    """What the samples say, and what lies in storage."""
    first, last = samples[len(samples) // 5], samples[-1]
    if first is last:
        raise SystemExit("The producer was too quick to be looked at twice: give it more videos.")
    rate = (last.videos - first.videos) / (last.seconds - first.seconds)
    cpu_seconds = max(1 / TICKS_PER_SECOND, last.cpu_seconds - first.cpu_seconds)
    requests, size = s3.requests(), plan_bytes(folder)
    head = open_job(JOB).ledger().last_head(0)
    assert head is not None, "not one part was planned"
    planned = head.header.videos_before + head.header.videos
    return {
        "seconds": round(last.seconds, 1),
        "videos_planned": planned,
        "videos_drained": last.videos,
        "videos_per_second": round(rate),
        "videos_per_cpu_second_of_the_producer": round((last.videos - first.videos) / cpu_seconds),
        "rss_mb_first": round(first.rss_mb),
        "rss_mb_last": round(last.rss_mb),
        "redis_mb_first": round(first.redis_mb, 1),
        "redis_mb_last": round(last.redis_mb, 1),
        "plan_bytes_per_video": round(size / planned, 1),
        "requests": requests,
        "for_a_billion": {
            "hours": round(BILLION / rate / 3600, 2) if rate else "nothing was drained",
            "plan_gb": round(size / planned, 2),
            "parts": math.ceil(BILLION / MOST_VIDEOS_IN_A_PART),
            "requests": {kind: round(count * BILLION / planned) for kind, count in requests.items()},
            "dollars": dollars_per_billion(requests, videos=planned),
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--videos", type=int, default=0, help="rows of the inventory [as many as may be read in that time]")
    parser.add_argument("--file-rows", type=int, default=FILE_ROWS, help="rows in each of its files")
    parser.add_argument("--workers", type=int, default=1, help="processes that drain the queue")
    parser.add_argument(
        "--resume-at", type=float, action="append", metavar="FRACTION", help="measure resuming there instead; may be given several times"
    )
    parser.add_argument("--shards-per-part", type=int, default=1024, help="of the plan that is resumed")
    parser.add_argument("--latency-ms", type=float, default=30.0, help="of S3 while it is resumed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    machine = asdict(this_machine())
    if asked.resume_at:
        latency = asked.latency_ms / 1000
        found = resume(asked.resume_at, shards_per_part=asked.shards_per_part, file_rows=asked.file_rows, latency_seconds=latency)
        show({"resume": found, "latency_ms": asked.latency_ms, "aim_seconds": 60, "machine": machine}, as_json=asked.json)
        return
    rows = asked.videos or int(ASSUMED_RATE * 60 * asked.minutes)
    found_run = run(minutes=asked.minutes, rows=rows, file_rows=asked.file_rows, workers=asked.workers)
    aims = {"rss_mb": 600, "redis_mb": 256}
    show({"run": found_run, "workers": asked.workers, "aims": aims, "machine": machine}, as_json=asked.json)


if __name__ == "__main__":
    main()
