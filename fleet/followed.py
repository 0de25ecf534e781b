"""One job as an exporter sees it: what storage said when it was last looked at, and what the broker says now."""

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from broker.messages import short_name
from broker.progress import Tally
from broker.vitals import Vitals
from fleet.deadline import LEAST_SECONDS, Pace
from fleet.proof import Proof
from fleet.proven import latest_proof
from fleet.spent import Meter
from fleet.status import JobStatus, status_of
from fleet.watching import spent_of
from schemas.errors import OperatorError
from schemas.tenure import Tenure
from storage import StoreError
from storage.job import Job
from storage.tenure import latest as latest_tenure

RESTS = 20
"""An exporter looks at storage for at most one part in so many of its time, however large a job is."""
SILENT_SECONDS = 60.0
"""A producer's beat that stands still for so long is nobody's."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """A job as it stood in storage."""

    at_seconds: float
    """Since the epoch."""
    status: JobStatus
    proof: Proof | None
    videos_finished: float | None
    """What the job's counters said at that moment; None if nobody had read them."""


@dataclass(slots=True)
class Feeding:
    """Whether a producer is at a job, by the beat that it counts in storage: no clock but our own is believed."""

    fed: bool | None = None
    """None while nobody can tell: a beat was seen, and not yet whether it goes on."""
    _beat: tuple[int, int] | None = None
    _changed_at: float = 0.0

    def look(self, tenure: Tenure | None, *, at_seconds: float) -> None:
        """Look at who has or had the job last."""
        if tenure is None or tenure.released:
            self.fed, self._beat = False, (0, 0)
            return
        before, self._beat = self._beat, (tenure.number, tenure.beat)
        if before != self._beat:
            self._changed_at, self.fed = at_seconds, None if before is None else True
        elif at_seconds - self._changed_at >= SILENT_SECONDS:
            self.fed = False


class FollowedJob:
    """Follows one job. `refresh` is for one thread, `note` for another."""

    def __init__(self, job: Job, *, clock: Callable[[], float] = time.time) -> None:
        """Know nothing yet."""
        self._job, self._clock = job, clock
        self.name, self.url = short_name(job.url), job.url
        self.up = False
        self.seen: Seen | None = None
        self.tally: Tally | None = None
        self.meter: Meter | None = None
        self._vitals: Sequence[Vitals] = ()
        self._finished: float | None = None
        self._pace, self._feeding = Pace(), Feeding()

    def refresh(self) -> None:
        """Look at the job in storage; where that fails what was seen before stands."""
        try:
            finished = self._finished
            self.seen = Seen(self._clock(), status_of(self._job, None), latest_proof(self._job), finished)
            self._feeding.look(latest_tenure(self._job), at_seconds=self._clock())
            if self.meter is None:
                self.meter = Meter(spent_of(self._job), tally=self._told, vitals=lambda: self._vitals, clock=self._clock)
            self.up = True
        except (StoreError, OperatorError) as error:
            self.up = False
            log.warning("%s was not looked at: %s", self.url, error)

    def note(self, tally: Tally, vitals: Sequence[Vitals]) -> None:
        """Hear what the broker says now."""
        self.tally, self._vitals = tally, vitals
        if self.meter is not None:
            self._finished = self.meter.look().videos
            self._pace.note(self._clock(), self._finished)

    @property
    def fed(self) -> bool | None:
        """Whether a producer is at it; None while nobody can tell."""
        return self._feeding.fed

    @property
    def videos_per_second(self) -> float | None:
        """How fast videos are finished; None while too little is known."""
        samples = self._pace.samples
        return self._pace.videos_per_second if samples and samples[-1][0] - samples[0][0] >= LEAST_SECONDS else None

    @property
    def eta_seconds(self) -> float | None:
        """Until all that is planned is done; infinite where nothing gets done, None where nobody can tell."""
        if self.seen is None:
            return None
        left = self.seen.status.videos - self.seen.status.committed_videos - self._finished_since(self.seen)
        return self._seconds_for(max(0.0, left))

    def backlog_seconds(self, shards: int) -> float | None:
        """Until so many shards are done."""
        if self.seen is None or not self.seen.status.shards:
            return None
        return self._seconds_for(shards * self.seen.status.videos / self.seen.status.shards)

    def _seconds_for(self, videos: float) -> float | None:
        pace = self.videos_per_second
        if pace is None or not videos:
            return None if pace is None else 0.0
        return videos / pace if pace > 0 else math.inf

    def _finished_since(self, seen: Seen) -> float:
        return 0.0 if self._finished is None or seen.videos_finished is None else self._finished - seen.videos_finished

    def _told(self) -> Tally:
        return self.tally or Tally()


def keep_refreshing(jobs: Sequence[FollowedJob], *, every_seconds: float, over: threading.Event) -> None:
    """Look at jobs again and again, with pauses that grow with how long a look takes."""
    while not over.is_set():
        began = time.monotonic()
        for job in jobs:
            job.refresh()
        over.wait(max(every_seconds, RESTS * (time.monotonic() - began)))
