"""What a producer counts for its own /metrics while it plans and feeds: it lives as long as its command, and its counters with it."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from broker.queues import BrokerFullError
from producer.sluice import Queue
from schemas.task import ShardTask
from storage.ledger import PlanPart
from workers.exporter import Exporter
from workers.families import counter, histogram, registry_of_process

MetricsPort = Annotated[int, typer.Option(help="Serve /metrics of this producer here; 0 does not.", min=0, max=65535)]
COUNTED = ("planned_shards", "planned_videos", "planned_bytes", "sent_shards", "batches")
TAKEN, REFUSED = "taken", "refused"
STAGES = PLAN, SEND = ("plan", "send")
EVERYWHERE = "0.0.0.0"  # noqa: S104 - Prometheus asks from another machine; what is told is no secret


class ProducerFigures:
    """A producer's own counters, which begin at zero."""

    def __init__(self, *, clock: Callable[[], float] = time.perf_counter) -> None:
        """Count from now on; `clock` tells seconds."""
        self.registry = registry_of_process()
        self._clock = clock
        self._counted = {name: counter(f"framefleet_producer_{name}_total", self.registry) for name in COUNTED}
        self._took = histogram("framefleet_producer_stage_seconds", self.registry)
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        for outcome in (TAKEN, REFUSED):
            self._counted["batches"].labels(outcome)
        for stage in STAGES:
            self._took.labels(stage)

    def planning(self, parts: Iterable[PlanPart]) -> Iterator[PlanPart]:
        """Count parts as they pass, and how long it took to list, choose, group and write each."""
        coming, began = iter(parts), self._clock()
        for part in coming:
            self._took.labels(PLAN).observe(self._clock() - began)
            self._counted["planned_shards"].inc(part.header.shards)
            self._counted["planned_videos"].inc(part.header.videos)
            self._counted["planned_bytes"].inc(part.header.size_bytes)
            yield part
            began = self._clock()

    @contextmanager
    def sending(self) -> Iterator[Callable[[int], None]]:
        """Count a batch and how long the block takes to send it; it is to say how many of its shards were new to the queue."""
        began, outcome = self._clock(), TAKEN
        try:
            yield self._counted["sent_shards"].inc
        except BrokerFullError as full:
            self._counted["sent_shards"].inc(full.sent)
            outcome = REFUSED
            raise
        finally:
            self._counted["batches"].labels(outcome).inc()
            self._took.labels(SEND).observe(self._clock() - began)


@dataclass(frozen=True, slots=True)
class CountedQueue:
    """A queue as it is, with what is sent to it counted."""

    queue: Queue
    figures: ProducerFigures

    def send_all(self, tasks: Sequence[ShardTask], *, weight: float | None = None) -> int:
        """Enqueue shards; returns how many neither waited nor were being worked on."""
        with self.figures.sending() as count:
            new = self.queue.send_all(tasks, weight=weight)
            count(new)
        return new

    def depth(self, job: str | None = None) -> int:
        """Count the shards that wait, of all jobs or of one."""
        return self.queue.depth(job)

    def jobs(self) -> int:
        """Count the jobs of which shards wait."""
        return self.queue.jobs()

    def used_bytes(self) -> int:
        """Tell how much memory the broker uses."""
        return self.queue.used_bytes()

    def limit_bytes(self) -> int | None:
        """Tell how much memory the broker may use; None where nobody set a limit."""
        return self.queue.limit_bytes()

    def epoch(self, job: str) -> str:
        """Name the broker's present memory of a job."""
        return self.queue.epoch(job)

    def in_flight(self, job: str | None = None) -> frozenset[str]:
        """Name the messages that wait or are being worked on, of all jobs or of one."""
        return self.queue.in_flight(job)


@contextmanager
def served(figures: ProducerFigures, *, port: int, say: Callable[[str], None], address: str = EVERYWHERE) -> Iterator[None]:
    """Serve a producer's metrics during the block, unless its port is 0; where that fails it says so and goes on."""
    try:
        exporter = Exporter(figures.registry, address=address, port=port) if port else None
    except OSError as error:
        say(f"No metrics are served ({error.strerror}): another process has port {port}; name another --metrics-port.")
        exporter = None
    try:
        yield
    finally:
        if exporter:
            exporter.close()
