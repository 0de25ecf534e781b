"""Tenures of a job, and a clock of the test's own."""

from collections.abc import Callable
from dataclasses import dataclass, field

from builders import AT, new_store

from schemas.tenure import Tenure
from storage.job import Job
from storage.tenure import Pace, key, take

WATCH_SECONDS = 30.0


def never() -> bool:
    return False


@dataclass
class Time:
    """A clock on which waiting takes no time, and during which something may happen."""

    now: float = 0.0
    meanwhile: Callable[[], object] = lambda: None
    said: list[str] = field(default_factory=list)

    @property
    def pace(self) -> Pace:
        return Pace(beat_seconds=3600, save_seconds=0, watch_seconds=WATCH_SECONDS, clock=lambda: self.now, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()

    def take(self, job: Job, *, stopped: Callable[[], bool] = never) -> Tenure | None:
        return take(job, say=self.said.append, stopped=stopped, pace=self.pace)


def new_job() -> Job:
    return Job(new_store("run"))


def held(job: Job, **fields) -> Tenure:
    """Somebody else's tenure, on a machine of which nothing is known here."""
    given = {"number": 1, "who": "ann", "host": "far", "pid": 7, "process": "boot ns 7 1", "token": "t", "begun_at": AT} | fields
    tenure = Tenure.model_validate(given)
    job.store.replace(key(tenure.number), tenure.model_dump_json().encode())
    return tenure
