"""Which jobs this worker is to leave alone, as the operator says in storage."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from schemas.control import ControlState
from storage.control import ASK_SECONDS, Heed
from storage.job import Job

JOBS_KEPT = 64
"""Jobs of which something is remembered; as many as a worker keeps open."""


class Controls:
    """The states of the jobs that a worker meets. Costs one GET per job and 5 s while a job runs.

    A job that is not running is asked about each time, so that a shard which is queued right after `resume` is never dropped for what
    was true before. That is one GET for each message dropped, and a paused job's queue is soon empty.
    """

    def __init__(self, *, ask_seconds: float = ASK_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        """Know nothing yet."""
        self._ask_seconds, self._clock = ask_seconds, clock
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Heed] = OrderedDict()

    def state_of(self, job: Job) -> ControlState:
        """What to do with a job's shards; while storage does not answer, what it said last."""
        return self._heed(job).control().state

    def _heed(self, job: Job) -> Heed:
        with self._lock:
            if job.url not in self._jobs:
                self._jobs[job.url] = Heed(job, remembered=(ControlState.RUNNING,), ask_seconds=self._ask_seconds, clock=self._clock)
            self._jobs.move_to_end(job.url)
            while len(self._jobs) > JOBS_KEPT:
                self._jobs.popitem(last=False)
            return self._jobs[job.url]
