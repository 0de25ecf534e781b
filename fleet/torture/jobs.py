"""The jobs of a torture: those that a real producer launches and feeds, and those whose shards are held back for a chosen moment."""

import sys
from collections import deque
from dataclasses import dataclass, field

from broker.queues import ShardQueue, message_id
from fleet.options import Asked
from fleet.torture.objects import Bucket
from fleet.torture.record import videos_planned
from producer.rounds import new_parts
from schemas.task import ShardTask

SOURCE, OUTPUT = "torture-in", "torture-out"
"""The buckets."""
EVERY = 0.0
"""Seconds between keyframes: all of them are captioned."""
WINDOW = 8
"""Shards that the producer lets wait in the queue."""
PER_SHARD = 2


@dataclass(slots=True)
class Jobs:
    """What was asked of the fleet so far."""

    bucket: Bucket
    names: list[str] = field(default_factory=list)
    """Prefixes of the jobs, in the output bucket."""
    seen: set[tuple[str, str]] = field(default_factory=set)
    """The shards that were in the queue or in work at some time: (job, shard)."""
    _held: deque[ShardTask] = field(default_factory=deque)

    def begin(self, kind: str) -> str:
        """Name one more job."""
        self.names.append(f"{kind}-{len(self.names):03d}")
        return self.names[-1]

    def launching(self, job: str) -> list[str]:
        """The command that launches a job, and goes on with one."""
        options = ["--engine", "scripted", "--every", f"{EVERY:g}", "--videos-per-shard", f"{PER_SHARD}", "--window", f"{WINDOW}"]
        return [sys.executable, "-m", "fleet.cli", "launch", f"s3://{SOURCE}/clips/", "--out", url_of(job), *options]

    def held(self) -> ShardTask:
        """A shard that is planned and was never sent; plans one more job where there is none."""
        if not self._held:
            asked = Asked(
                sources=[f"s3://{SOURCE}/clips/"], dest=url_of(self.begin("held")), engine="scripted", every=EVERY, videos_per_shard=1
            )
            self._held.extend(task for part in new_parts(*asked.job()) for task in part.shards)
        return self._held.popleft()

    def send(self, task: ShardTask, queue: ShardQueue) -> str:
        """Send a held shard; returns what the journal calls it."""
        queue.send(task)
        self.seen.add((task.job.rpartition("/")[2], task.shard_id))
        return name_of(task.job, task.shard_id)

    def send_the_rest(self, queue: ShardQueue) -> None:
        """Send all that is still held."""
        while self._held:
            self.send(self._held.popleft(), queue)

    def forget_held(self) -> None:
        """Hold nothing back any more, since somebody else sends it."""
        self._held.clear()

    def look(self, in_flight: frozenset[str]) -> None:
        """Remember what is in the queue or in work."""
        jobs = {message_id(url_of(name), ""): name for name in self.names}
        for message in in_flight:
            short, _, shard = message.partition(":")
            if (job := jobs.get(f"{short}:")) is not None:
                self.seen.add((job, shard))

    def is_in_flight(self, name: str, in_flight: frozenset[str]) -> bool:
        """Whether a shard, by the journal's name for it, is in the queue or in work."""
        job, _, shard = name.rpartition("/")[2].partition(":")
        return message_id(url_of(job), shard) in in_flight

    def missing(self, in_flight: frozenset[str]) -> set[tuple[str, str]]:
        """The shards that were in the queue once, and are neither there, nor in work, nor committed. `in_flight` is from before."""
        committed = {(job, shard) for job in self.names for shard in self.committed(job)}
        return {(job, shard) for job, shard in self.seen - committed if message_id(url_of(job), shard) not in in_flight}

    def committed(self, job: str) -> list[str]:
        """The shards of a job that have their object."""
        return [key.rpartition("/")[2].partition(".jsonl")[0] for key in self.bucket.keys(f"{job}/captions/")]

    def videos(self, job: str) -> dict[str, list[str]]:
        """The videos of a job's planned shards."""
        found: dict[str, list[str]] = {}
        for key in self.bucket.keys(f"{job}/plan/part-"):
            found |= videos_planned(self.bucket.get(key))
        return found


def url_of(job: str) -> str:
    """A job's output prefix."""
    return f"s3://{OUTPUT}/{job}"


def name_of(job_url: str, shard: str) -> str:
    """What the journal calls a shard."""
    return f"{job_url.removeprefix('s3://')}:{shard}"
