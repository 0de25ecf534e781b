"""How long it takes until a large job goes on, after its producer was killed.

The plan has as many parts as that of so many videos: the first ones a producer's own, the rest laid down with as many shards as is said,
each of one video, since to plan a billion videos takes hours; the lease is set to all but the last parts being published. Then a producer
is started, killed by SIGKILL, and another started. The seconds count from that start to the next message that a worker ends, at a latency
to S3: with the Redis that was there, and with one that has forgotten everything, so that all that is planned must be held against what
is committed. Plans of several sizes show what grows.
"""

import math
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from processes import rss_mb_peak
from producer_drain import Drained, draining
from producer_inventory import SOURCE, write_inventory
from producer_job import parts
from producer_plan import BILLION, JOB, child, environment
from s3_listing import listed_s3
from s3_stand_in import Line

from broker.app import make_app
from broker.embedded import embedded_redis
from broker.queues import ShardQueue
from producer.plan import MOST_VIDEOS_IN_A_PART
from schemas.tenure import Published
from storage.job import open_job
from storage.tenure import key, latest


@contextmanager
def producing(url: str, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a producer for the block; what it complains of is shown."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(child(SOURCE, JOB, "--broker", url, *options), stdout=subprocess.DEVNULL, stderr=said, env=environment())
        try:
            yield process
            if process.poll():
                said.seek(0)
                raise SystemExit(f"The producer ended with status {process.returncode}: {said.read().decode()}")
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True, slots=True)
class Large:
    """A plan as large as that of so many videos, but for what is in its shards."""

    parts: int
    shards_per_part: int
    behind: int
    """Parts at its end of which no message was sent yet."""

    def lay(self) -> None:
        """Lay it down behind the parts that are there, and have the lease say how far it was published."""
        job = open_job(JOB)
        last = job.ledger().last_head(0)
        assert last is not None
        for header, shards in parts(job, self.parts * self.shards_per_part, per_shard=1, shards_per_part=self.shards_per_part):
            at = last.header.part + 1 + header.part
            moved = {
                "part": at,
                "cursor": last.header.cursor,
                "shards_before": header.shards_before + last.header.shards_before + last.header.shards,
            }
            moved |= {"videos_before": header.videos_before + last.header.videos_before + last.header.videos}
            job.ledger().create_part(header.model_copy(update=moved), shards)
        held = latest(job)
        assert held is not None
        published = Published(part=last.header.part + 1 + self.parts - self.behind)
        job.store.replace(key(held.number), held.model_copy(update={"published": published}).model_dump_json().encode())


def resume(fractions: Sequence[float], *, shards_per_part: int, file_rows: int, latency_seconds: float) -> list[dict[str, Any]]:
    """Kill producers of plans as large as these fractions of a billion videos have, and start others."""
    plans = [Large(math.ceil(one * BILLION / MOST_VIDEOS_IN_A_PART), shards_per_part, behind=2) for one in fractions]
    with embedded_redis() as url, draining(url, workers=1) as drained:
        fleet = Fleet(url, drained)
        return [_resumed(large, fleet, file_rows=file_rows, latency_seconds=latency_seconds) for large in plans]


def _resumed(large: Large, fleet: "Fleet", *, file_rows: int, latency_seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        write_inventory(Path(name), films=BILLION, listed=2 * file_rows, file_rows=file_rows)
        with listed_s3(Path(name), films=BILLION) as s3:
            fleet.begin()
            large.lay()
            fleet.settle()
            s3.slow_down(Line(latency_seconds))
            kept, requests = fleet.first_message(), s3.requests()
            fleet.forget()
            lost, requests_of_lost = fleet.first_message(), s3.requests()
            fleet.forget()
    return {
        "parts": large.parts,
        "shards": large.parts * large.shards_per_part,
        "as_of_videos": large.parts * MOST_VIDEOS_IN_A_PART,
        "seconds_to_next_message": round(kept.seconds, 1),
        "requests": requests,
        "rss_mb_peak": kept.rss_mb_peak,
        "seconds_with_an_empty_redis": round(lost.seconds, 1),
        "requests_with_an_empty_redis": requests_of_lost,
        "rss_mb_peak_with_an_empty_redis": lost.rss_mb_peak,
    }


@dataclass(frozen=True, slots=True)
class First:
    """How long a producer took to its first message, and at most how much memory."""

    seconds: float
    rss_mb_peak: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """A Redis that workers drain, and the producers that come and go."""

    url: str
    drained: Drained

    def begin(self) -> None:
        """Let a producer begin the job, and kill it once its lease says that a part was sent."""
        job = open_job(JOB)
        with producing(self.url, "--save-seconds", "0") as process:
            while process.poll() is None and not ((held := latest(job)) and held.published.part):
                time.sleep(0.05)

    def settle(self) -> None:
        """Wait until the workers have ended all that was sent before, which must not pass for the next message."""
        app = make_app(self.url)
        while ShardQueue(app).in_flight():
            time.sleep(0.05)
        app.close()

    def forget(self) -> None:
        """Have Redis lose all it has."""
        self.settle()
        with client(self.url) as server:
            server.flushall()

    def first_message(self) -> First:
        """Start a producer, wait until a worker has ended a message of it, and kill it."""
        before, begun = self.drained.messages.value, time.monotonic()
        with producing(self.url) as process:
            while self.drained.messages.value == before and process.poll() is None:
                time.sleep(0.01)
            return First(time.monotonic() - begun, round(rss_mb_peak(process.pid)))


def client(url: str) -> "redis.Redis":
    """Look at a private Redis."""
    return redis.Redis(unix_socket_path=url.removeprefix("redis+socket://"))
