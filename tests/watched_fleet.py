"""A fleet as its broker tells of it, made up, and what watches it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from builders import HandmadeJob
from vital_signs import vitals

from broker.progress import Tally
from broker.vitals import Vitals
from fleet.budget import Watch
from fleet.guards import Budget, Deadline, Planned
from fleet.spent import Meter
from schemas.control import ControlState
from schemas.errors import BrokerAwayError
from schemas.estimate import Prices
from storage.control import read_control
from storage.job import Job

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PRICES = Prices(accelerator_hour=3600.0)
"""A dollar a second, so that seconds are dollars."""


@dataclass
class Fleet:
    """Workers and counters of a job as a broker tells of them, at a time of its own."""

    job: Job = field(default_factory=lambda: HandmadeJob().job)
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)
    workers: list[Vitals] = field(default_factory=list)
    away: bool = False
    said: list[str] = field(default_factory=list)

    def meter(self, **noted: float) -> Meter:
        return Meter(noted, tally=lambda: self.tally, vitals=self._told, clock=lambda: self.seconds)

    def _told(self) -> list[Vitals]:
        if self.away:
            raise BrokerAwayError("It is away.")
        return self.workers

    def budget(self, dollars: float, prices: Prices = PRICES) -> Budget:
        return Budget(self.job, dollars, prices, self.said.append)

    def deadline(self, after_seconds: float, planned: Callable[[], Planned], *, stops: bool = False) -> Deadline:
        moment = NOON + timedelta(seconds=after_seconds)
        return Deadline(self.job, moment, planned, self.said.append, stops=stops, now=lambda: NOON + timedelta(seconds=self.seconds))

    def watch(self, *guards: Budget | Deadline, **noted: float) -> Watch:
        return Watch(self.meter(**noted), guards, every_seconds=5, clock=lambda: self.seconds)

    def work(self, seconds: float, *, frames: dict[str, int], of_job: int, videos: int = 0) -> None:
        """Have workers deliver so many frames each, and so many of the job's in all."""
        self.seconds += seconds
        before = {one.worker: one.frames for one in self.workers}
        self.workers = [vitals(name, frames=before.get(name, 0) + count) for name, count in frames.items()]
        self.tally = self.tally.plus(Tally(frames=of_job, videos=videos))

    @property
    def state(self) -> ControlState:
        return read_control(self.job).state
