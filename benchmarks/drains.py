"""SIGTERM with 25 s of grace at random moments of a worker's life: is it out in time, and are all its shards as if it had not been there?

late
    Workers that were not out within their grace, or not with exit status 0.
charged
    Attempts that shards had counted against them behind the worker.
lost
    Shards that were then neither committed nor waiting, or still claimed.
seconds
    From the signal to the end of the process; most of it is what the engine's answers take, which differ from worker to worker: from
    none to longer than the grace.
"""

import argparse
import math
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from clips import distinct, made, spread
from processes import this_machine
from report import show

from broker.app import App, make_app
from broker.embedded import embedded_redis, start_child
from broker.queues import ShardQueue, redis_of
from broker.scripts import INDEX
from broker.trials import Trials
from storage.job import open_job

GRACE_SECONDS = 25
SHARDS = 12
AT_ONCE = 4
"""Workers that live side by side, each with a queue of its own."""
LATENCIES = (0.01, 0.3, 3.0, 60.0)
LONGEST_WAIT_SECONDS = 4.0


@dataclass(frozen=True)
class Life:
    """One worker from its start to its end."""

    job: Path
    app: App
    process: "subprocess.Popen[bytes]"
    dice: random.Random

    def claims(self) -> int:
        with redis_of(self.app) as redis:
            return int(redis.zcard(INDEX))

    def found(self, seconds: float) -> dict[str, Any]:
        """What it left behind."""
        done = len(list(open_job(str(self.job)).committed()))
        return {
            "seconds": seconds,
            "late": seconds > GRACE_SECONDS or self.process.returncode != 0,
            "charged": sum(Trials(self.app, f"file://{self.job}").attempts().values()),
            "lost": self.claims() + SHARDS - done - ShardQueue(self.app).depth(),
            "committed": done,
        }


@contextmanager
def life(number: int, folder: Path, clips: Path, url: str) -> Iterator[Life]:
    """A worker with a job and a queue of its own."""
    dice = random.Random(number)  # noqa: S311 - spreads moments, guards nothing
    job, broker = folder / f"job-{number}", f"{url}?key_prefix=drain{number}:"
    launch = ("launch", clips, "--out", job, "--engine", "scripted", "--broker", broker, "--videos-per-shard", 1)
    subprocess.run([sys.executable, "-m", "fleet.cli", *map(str, launch)], check=True, capture_output=True)
    env = {
        "PATH": "/usr/bin:/bin",
        "FRAMEFLEET_ENGINE": "scripted",
        "FRAMEFLEET_BROKER_URL": broker,
        "FRAMEFLEET_GRACE_SECONDS": str(GRACE_SECONDS),
        "FRAMEFLEET_SCRIPTED_LATENCY_SECONDS": str(dice.choice(LATENCIES)),
        "FRAMEFLEET_SCRIPTED_CONCURRENCY": "2",
        "FRAMEFLEET_SHARDS_AT_ONCE": str(dice.randint(1, 8)),
    }
    process = start_child([sys.executable, "-m", "fleet.entry", "worker"], env=env)
    try:
        yield Life(job, make_app(broker), process, dice)
    finally:
        process.kill()
        process.wait()


def ended(lives: list[Life]) -> list[dict[str, Any]]:
    """Tell each to end at a moment of its own after its first claim, and wait for all."""
    due, told, seconds = dict[int, float](), dict[int, float](), dict[int, float]()
    while len(seconds) < len(lives):
        now = time.monotonic()
        for one, life in enumerate(lives):
            if one not in due and (life.claims() or (life.job / "captions").exists()):
                due[one] = now + life.dice.uniform(0, LONGEST_WAIT_SECONDS)
            if one not in told and now >= due.get(one, math.inf):
                life.process.send_signal(signal.SIGTERM)
                told[one] = now
            if one in told and one not in seconds and life.process.poll() is not None:
                seconds[one] = now - told[one]
        time.sleep(0.005)
    return [life.found(seconds[one]) for one, life in enumerate(lives)]


def drains(count: int) -> list[dict[str, Any]]:
    """Let so many workers live and end."""
    files, found = made(distinct(6)), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as folder, embedded_redis() as url:
        clips = Path(folder) / "clips"
        spread(files, clips, count=SHARDS)
        for first in range(0, count, AT_ONCE):
            with ExitStack() as stack:
                numbers = range(first, min(count, first + AT_ONCE))
                found += ended([stack.enter_context(life(number, Path(folder), clips, url)) for number in numbers])
            print(f"{len(found)} of {count}", file=sys.stderr)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = drains(asked.count)
    seconds = quantiles([one["seconds"] for one in found], n=20, method="inclusive")
    sums = {name: sum(one[name] for one in found) for name in ("late", "charged", "lost", "committed")}
    figures = {"drains": len(found), **sums, "seconds_p50": round(seconds[9], 1), "seconds_p95": round(seconds[18], 1)}
    show({"machine": this_machine(), "grace_seconds": GRACE_SECONDS, **figures}, as_json=asked.json)


if __name__ == "__main__":
    main()
