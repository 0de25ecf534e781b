"""The whole fleet on this machine: Redis, S3 server, fault proxy, producer and workers, all real, and a clock for what happens later."""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from broker.app import make_app
from broker.breaker import Breaker
from broker.queues import ShardQueue, redis_of
from fleet.reconcile import reconcile
from fleet.stop import Stop
from fleet.torture.environments import clean_environment, storage_environment
from fleet.torture.faults import Dice
from fleet.torture.jobs import OUTPUT, Jobs, name_of, url_of
from fleet.torture.journal import Journal
from fleet.torture.objects import Bucket
from fleet.torture.proxy import Proxy
from fleet.torture.servers import ObjectServer, Redis
from fleet.torture.setup import Plot
from fleet.torture.traps import Traps
from fleet.torture.victims import Victim
from schemas.errors import OperatorError
from storage.job import open_job

T = TypeVar("T")

TICK_SECONDS = 0.02
LOOK_SECONDS = 0.25
"""How often the queue is looked into."""
SPY_SECONDS = 0.1
"""How often the black boxes are."""
PATIENCE_SECONDS = 15.0
"""How long a Redis that was just started may take to answer everybody."""
CENSUS_SECONDS = 3.0
YOUNG_SECONDS = 15.0
MOST_ENDS = 8
"""How often workers may end by themselves soon after their start, before the torture gives up: something is wrong with the machine."""


@dataclass(slots=True)
class Score:
    """What was done to the fleet."""

    kills: Counter[str] = field(default_factory=Counter)
    """SIGKILLs of workers by the stage they were at."""
    deeds: Counter[str] = field(default_factory=Counter)
    """Everything else, by kind."""
    drains: list[float] = field(default_factory=list)
    """Seconds from SIGTERM to the end."""
    drained_badly: int = 0
    """Drains that took too long, or did not end with status 0."""
    ends: Counter[int] = field(default_factory=Counter)
    """Workers that ended by themselves, by exit status."""
    missing: set[tuple[str, str]] = field(default_factory=set)
    """Shards that the queue lost: (job, shard)."""


class World:
    """One fleet under torture. Everything but the proxy happens in the main thread, since it starts the processes."""

    def __init__(self, plot: Plot, folder: Path, *, redis: Redis, store: ObjectServer) -> None:
        """Use servers that are started."""
        self.plot, self.folder, self.redis = plot, folder, redis
        self.dice = random.Random(f"nemeses {plot.seed}")  # noqa: S311 - a torture that can be repeated
        self.score, self.journal, self.traps = Score(), Journal(), Traps()
        self.faults = Dice(plot.seed)
        self.proxy = Proxy(store.port, self.faults, self.traps, self.journal)
        self.jobs = Jobs(Bucket(store.url, OUTPUT))
        self.app = make_app(self.broker_url)
        self.queue = ShardQueue(self.app)
        self.workers = [self._worker(slot) for slot in range(plot.workers)]
        self.producer = self._producer()
        self.feeding = True
        """Whether one job after the other is to be launched."""
        self._breaker, self._breaker_open = Breaker(self.app), False
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._young_ends = 0
        self._looked_at = self._spied_at = 0.0

    @property
    def broker_url(self) -> str:
        """What the fleet is told of its broker."""
        return self.redis.url + self.plot.transport

    def start(self) -> None:
        """Start the producer and the workers."""
        for victim in (self.producer, *self.workers):
            victim.start()

    def close(self) -> None:
        """End everything."""
        for victim in (self.producer, *self.workers):
            victim.kill()
        self.proxy.close()
        self.jobs.bucket.close()
        self.app.close()

    def tick(self) -> None:
        """Let time pass: what is due is done, the dead are replaced, the queue is looked into."""
        time.sleep(TICK_SECONDS)
        now = time.monotonic()
        for due in [item for item in self._later if item[0] <= now]:
            self._later.remove(due)
            due[1]()
        for worker in self.workers:
            self._tend(worker)
        self._tend_producer()
        if now - self._spied_at >= SPY_SECONDS:
            self._spied_at = now
            self._read_boxes()
        if now - self._looked_at >= LOOK_SECONDS:
            self.look()

    def look(self) -> frozenset[str]:
        """Look into the queue, and remember what is there."""
        in_flight = self.patiently(self.queue.in_flight)
        self.jobs.look(in_flight)
        opened = self.patiently(self._breaker.state) is not None
        self.score.deeds["breaker openings"] += opened and not self._breaker_open
        self._breaker_open = opened
        self._looked_at = time.monotonic()
        return in_flight

    def later(self, seconds: float, deed: Callable[[], None]) -> None:
        """Have something done in a while."""
        self._later.append((time.monotonic() + seconds, deed))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.until(lambda: False, within_seconds=seconds)

    def until(self, happens: Callable[[], object], *, within_seconds: float) -> bool:
        """Let time pass until something happens; False if it did not in time."""
        end = time.monotonic() + within_seconds
        while time.monotonic() < end:
            if happens():
                return True
            self.tick()
        return bool(happens())

    def patiently(self, ask: Callable[[], T]) -> T:
        """Ask a broker that may just have come back.

        Raises:
            OperatorError: it does not answer.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return ask()
            except OperatorError:
                if time.monotonic() >= end:
                    raise
                time.sleep(TICK_SECONDS)

    def up(self) -> list[Victim]:
        """The workers that may be hurt, in an order of chance."""
        found = [worker for worker in self.workers if worker.up]
        self.dice.shuffle(found)
        return found

    def all_done(self) -> bool:
        """Whether nothing happens later any more."""
        return not self._later

    def sleepers(self) -> int:
        """How many clients wait at the broker for a message."""
        with redis_of(self.app) as redis:
            clients = redis.execute_command("CLIENT LIST")
        return sum("b" in client["flags"] for client in clients)

    def hold_producer(self) -> None:
        """Let the producer send nothing for now."""
        self.feeding = False
        self.until(lambda: self.producer.alive or self.producer.status == 0, within_seconds=YOUNG_SECONDS)
        self.producer.freeze()

    def release_producer(self) -> None:
        """Let the producer go on."""
        self.producer.thaw()
        self.feeding = True

    def take_census(self) -> None:
        """Find shards that the queue has lost: seen once, and now neither there nor done. Looks twice, since a move may take a moment."""
        found = self.jobs.missing(self.look())
        if found - self.score.missing:
            self.wait(CENSUS_SECONDS)
            found &= self.jobs.missing(self.look())
        self.score.missing |= found

    def reconcile(self) -> int:
        """Do for each job what `framefleet reconcile` does; returns how many shards were sent. What was held back is held no more."""
        self.jobs.forget_held()
        there = [job for job in map(open_job, map(url_of, self.jobs.names)) if job.exists()]
        return sum(reconcile(job, self.queue, stop=Stop(), say=lambda _: None).sent for job in there)

    def _read_boxes(self) -> None:
        for worker in filter(lambda worker: worker.up, self.workers):
            for step in worker.steps():
                self.journal.sighted(name_of(step.job, step.shard_id), by=(worker.slot, worker.starts, step.tag))

    def _tend(self, worker: Victim) -> None:
        if worker.alive:
            worker.meet()
            return
        status = worker.status
        if status is not None and status >= 0 and not (worker.leaving or worker.crashed):
            self.score.ends[status] += 1
            self._mind(worker)
        if status is not None and status >= 0:
            self.journal.ended(worker.slot)
        worker.start()

    def _mind(self, worker: Victim) -> None:
        self._young_ends = self._young_ends + 1 if time.monotonic() - worker.started_at < YOUNG_SECONDS else 0
        if self._young_ends > MOST_ENDS:
            raise OperatorError(
                f"The torture's workers end by themselves (exit status {worker.status}); see {self.folder}/{worker.name}.log"
            )

    def _tend_producer(self) -> None:
        producer = self.producer
        if producer.alive or (producer.status == 0 and not self.feeding):
            return
        if producer.status == 0:
            producer.command = self.jobs.launching(self.jobs.begin("launched"))
        producer.start()

    def _worker(self, slot: int) -> Victim:
        return Victim(slot, self.plot.worker_command(), self._env(slot), self.folder, kept=self.plot.kept)

    def _producer(self) -> Victim:
        slot = self.plot.workers
        return Victim(slot, self.jobs.launching(self.jobs.begin("launched")), self._env(slot), self.folder)

    def _env(self, slot: int) -> Mapping[str, str]:
        own = {"FRAMEFLEET_BROKER_URL": self.broker_url, "TMPDIR": os.fspath(self.folder)}
        return clean_environment() | self.plot.settings() | storage_environment(self.proxy.open(slot)) | own
