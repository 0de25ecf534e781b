"""Redis, the producers and the claims, as the autoscaler's simulation has them; how much waits is decided by the producer's own code."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from autoscaler_clock import Clock
from autoscaler_day import Launch
from autoscaler_hpa import Counts

from producer.sluice import Sluice
from producer.window import Limits

LEASE_SECONDS = 12.0
LOOK_SECONDS = 5.0
"""Between two looks of a producer."""
MESSAGE_BYTES = 4096
BIGGEST_FIRST_OF = 512
"""Shards of a part of the plan, of which the longest are sent first."""


@dataclass(eq=False, slots=True)
class Shard:
    """A message, and what becomes of it."""

    job: str
    seconds: float
    """Of a GPU."""
    sent_at: float = 0.0
    taken_at: float | None = None
    done_at: float | None = None


@dataclass(slots=True)
class Job:
    """A launched job."""

    launch: Launch
    shards: list[Shard]
    unsent: int = 0
    waiting: deque[Shard] = field(default_factory=deque)
    turn: float = 0.0
    undone: int = 0
    done_at: float | None = None


class Taker(Protocol):
    """A worker with room."""

    def give(self, shard: Shard) -> None:
        """Let it work on a shard that it has just claimed."""

    @property
    def room(self) -> int:
        """How many more it would take."""


class Broker:
    """The queue: jobs take turns, claims are booked, and nothing is lost while it is away."""

    def __init__(self, clock: Clock, dice: Random) -> None:
        self.jobs: dict[str, Job] = {}
        self.takers: list[Taker] = []
        self._clock, self._dice = clock, dice
        self.behind_seconds = 0.0
        """GPU-seconds of work that is launched and not done."""
        self._claimed = 0
        self._away, self._late = False, list[Shard]()

    def counts(self) -> Counts | None:
        """What it says, if it answers."""
        return None if self._away else Counts(self.waiting, self._claimed)

    @property
    def waiting(self) -> int:
        """How many shards nobody works on."""
        return sum(len(job.waiting) for job in self.jobs.values())

    def launch(self, launch: Launch) -> None:
        """Start a producer."""
        job = self.jobs[launch.name] = Job(launch, _biggest_first(launch), turn=self._first_turn(), undone=len(launch.shards))
        self.behind_seconds += sum(launch.shards)
        Feeding(self._clock, self, job)

    def send(self, job: Job, shards: Sequence[Shard]) -> None:
        """Queue shards."""
        if not job.waiting:
            job.turn = max(job.turn, self._first_turn())
        for shard in shards:
            shard.sent_at = self._clock.now
        job.waiting.extend(shards)
        self.ring()

    def _first_turn(self) -> float:
        return min((job.turn for job in self.jobs.values() if job.waiting), default=0.0)

    def take(self) -> Shard | None:
        """Claim a shard of the job whose turn it is."""
        job = min((job for job in self.jobs.values() if job.waiting), key=lambda job: job.turn, default=None)
        if self._away or job is None:
            return None
        job.turn += 1
        self._claimed += 1
        shard = job.waiting.popleft()
        shard.taken_at = self._clock.now if shard.taken_at is None else shard.taken_at
        return shard

    def ring(self) -> None:
        """Wake who sleeps: whoever it is gets one, and rings again."""
        while idle := [taker for taker in self.takers if taker.room > 0]:
            shard = self.take()
            if shard is None:
                return
            self._dice.choice(idle).give(shard)

    def done(self, shard: Shard) -> None:
        """Take note that a shard is committed; its acknowledgement may have to wait for Redis."""
        assert shard.done_at is None, "a shard was worked twice to its end"
        shard.done_at = self._clock.now
        job = self.jobs[shard.job]
        job.undone -= 1
        self.behind_seconds -= shard.seconds
        job.done_at = shard.done_at if job.undone == 0 else None
        if self._away:
            self._late.append(shard)
        else:
            self._claimed -= 1

    def give_back(self, shards: Sequence[Shard]) -> None:
        """Put claimed shards back, at the head of their queues."""
        if self._away:
            self.run_out(shards)
            return
        for shard in reversed(shards):
            self._claimed -= 1
            self.jobs[shard.job].waiting.appendleft(shard)
        self.ring()

    def run_out(self, shards: Sequence[Shard]) -> None:
        """Do so after a claim's life, since nobody is left to say it. Time in which Redis is away ages no claim."""
        if shards:
            self._clock.after(LEASE_SECONDS, lambda: self.give_back(shards))

    def go_away(self) -> None:
        """Stop answering."""
        self._away = True

    def come_back(self) -> None:
        """Answer again, with all that was there."""
        self._away = False
        self._claimed -= len(self._late)
        self._late.clear()
        self.ring()


class Feeding:
    """One job's producer: the real sluice over this queue."""

    def __init__(self, clock: Clock, broker: Broker, job: Job) -> None:
        self._clock, self._broker, self._job = clock, broker, job
        self._sluice = Sluice(self, job.launch.name, Limits(), weight=None, say=lambda _: None, clock=lambda: clock.now)  # type: ignore[arg-type]
        self._look()

    def _look(self) -> None:
        if self._broker.counts() is not None:
            while self._job.unsent < len(self._job.shards) and self._sluice.send(self._job.shards[self._job.unsent :])[0]:  # type: ignore[arg-type]
                pass
        if self._job.unsent < len(self._job.shards):
            self._clock.after(LOOK_SECONDS, self._look)

    def send_all(self, tasks: Sequence[Shard], *, weight: float | None = None) -> int:  # noqa: ARG002 - the sluice says whose weight it is
        self._job.unsent += len(tasks)
        self._broker.send(self._job, tasks)
        return len(tasks)

    def depth(self, job: str | None = None) -> int:
        return len(self._broker.jobs[job].waiting) if job else self._broker.waiting

    def jobs(self) -> int:
        return sum(bool(job.waiting) for job in self._broker.jobs.values())

    def used_bytes(self) -> int:
        return self._broker.waiting * MESSAGE_BYTES

    def limit_bytes(self) -> int | None:
        return None


def _biggest_first(launch: Launch) -> list[Shard]:
    parts = [launch.shards[first : first + BIGGEST_FIRST_OF] for first in range(0, len(launch.shards), BIGGEST_FIRST_OF)]
    return [Shard(launch.name, seconds) for part in parts for seconds in sorted(part, reverse=True)]
