"""One day of one set-up: the parts of the autoscaler's simulation put together, and what came of it."""

from dataclasses import dataclass
from random import Random
from statistics import quantiles

from autoscaler_broker import Broker, Job
from autoscaler_chart import Setup
from autoscaler_clock import Clock
from autoscaler_day import HOUR, Cloud, Day
from autoscaler_fleet import Fleet, Phase
from autoscaler_hpa import SYNC_SECONDS, Hpa, Keda
from autoscaler_meter import Meter

HORIZON = 28 * HOUR
SAMPLE_SECONDS = 120.0
PHASE_SECONDS = 4.0
"""By how much KEDA's looks are behind the autoscaler's."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment."""

    hour: float
    working: int
    idle: int
    starting: int
    open: int
    behind: float
    """GPU-hours of work that is launched and not done."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a day."""

    jobs: tuple[Job, ...]
    meter: Meter
    samples: tuple[Sample, ...]

    @property
    def paid_hours(self) -> float:
        return self.meter.seconds["paid"] / HOUR

    def share(self, what: str) -> float:
        """Of what was paid for."""
        return self.meter.seconds[what] / self.meter.seconds["paid"]

    def hours_of(self, name: str) -> float:
        """From a job's launch to its end."""
        [job] = [job for job in self.jobs if job.launch.name == name]
        return ((HORIZON if job.done_at is None else job.done_at) - job.launch.at) / HOUR

    def small_hours(self) -> list[float]:
        """The same of all jobs that are not large."""
        return [self.hours_of(job.launch.name) for job in self.jobs if not job.launch.large]

    def wait_p95(self) -> float:
        """Seconds that 95 of 100 shards waited at most, from the queue to a worker."""
        waits = [(HORIZON if shard.taken_at is None else shard.taken_at) - shard.sent_at for job in self.jobs for shard in job.shards]
        return quantiles(waits, n=20)[-1]

    def unfinished(self) -> int:
        return sum(job.undone for job in self.jobs)


class Run:
    """A fleet and its autoscaler at work."""

    def __init__(self, setup: Setup, day: Day, cloud: Cloud, *, seed: int) -> None:
        self._clock, self._meter = Clock(), Meter()
        bells, machines = Random(f"bells {seed}"), Random(f"machines {seed}")  # noqa: S311 - no secrets
        self._broker = Broker(self._clock, bells)
        self._fleet = Fleet(self._clock, self._broker, self._meter, setup=setup, cloud=cloud, droughts=day.droughts, dice=machines)
        self._samples: list[Sample] = []
        self._scale_by(setup)
        self._let_happen(day)

    def _scale_by(self, setup: Setup) -> None:
        scaling = setup.scaling
        self._keda = Keda(scaling)
        self._hpa = Hpa(fewest=scaling.fewest, most=scaling.most, up=scaling.up, down=scaling.down)
        self._clock.every(SYNC_SECONDS, self._sync)
        self._clock.every(scaling.polling_seconds, self._poll, first=PHASE_SECONDS)

    def _let_happen(self, day: Day) -> None:
        for launch in day.launches:
            self._clock.at(launch.at, lambda launch=launch: self._broker.launch(launch))
        for outage in day.outages:
            self._clock.at(outage.begin, self._broker.go_away)
            self._clock.at(outage.end, self._broker.come_back)
        self._clock.every(SAMPLE_SECONDS, self._sample)

    def _sync(self) -> None:
        replicas = self._fleet.replicas
        if replicas:
            readings = self._keda.read(self._broker.counts(), replicas=replicas)
            self._scale(self._hpa.sync(self._clock.now, readings, replicas=replicas))

    def _poll(self) -> None:
        self._scale(self._keda.poll(self._clock.now, self._broker.counts(), replicas=self._fleet.replicas))

    def _scale(self, replicas: int) -> None:
        if replicas != self._fleet.replicas:
            self._fleet.scale(replicas)

    def _sample(self) -> None:
        ready = [pod.worker for pod in self._fleet.pods if pod.phase is Phase.READY and pod.worker]
        working = sum(bool(worker.busy) for worker in ready)
        waiting = self._broker.waiting + sum(worker.busy for worker in ready)
        starting = len(self._fleet.nodes) - len(ready)
        self._samples.append(
            Sample(self._clock.now / HOUR, working, len(ready) - working, starting, waiting, self._broker.behind_seconds / HOUR)
        )

    def outcome(self, until: float = HORIZON) -> Outcome:
        """Let the day pass."""
        self._clock.run(until)
        self._fleet.close()
        return Outcome(tuple(self._broker.jobs.values()), self._meter, tuple(self._samples))
