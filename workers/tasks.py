"""The task: from a message to the end of its shard. The one place that maps errors to what happens to the message."""

import logging
import os
import random
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from celery import Celery, Task
from celery.exceptions import Reject
from celery.worker import state

from broker import TASK
from broker.lease import Leases
from broker.progress import Progress, Tally, report_fault
from broker.queues import ShardQueue
from schemas.errors import EngineDiedError, FatalError, OperatorError, TransientError
from schemas.job import JobSpec
from schemas.record import Attempt
from schemas.task import ShardTask
from storage import ObjectDenied, StoreUnavailable
from storage.job import Job, open_job
from workers.ceiling import Ceilings
from workers.engines import open_engine
from workers.metered import Meter, Metered
from workers.metrics import Reporter
from workers.pipeline import ShardRun
from workers.pulse import Pulse
from workers.room import Room
from workers.settings import WorkerSettings

EXIT_UNFIT = 4
"""Exit status of a worker that found itself unfit; its messages are back in the queue."""
EXIT_ENGINE_DIED = 5
"""The same where its engine died: started again, the worker is as good as new."""

log = logging.getLogger(__name__)


def delay_seconds(*, attempt: int, jitter: float) -> float:
    """How long to hold a shard back before its next attempt: doubling from 1 s to 30 s, `jitter` in [0, 1) spreading the upper half."""
    ceiling = min(30.0, 2.0 ** min(max(attempt - 1, 0), 5))
    return ceiling * (0.5 + 0.5 * jitter)


class CaptionShard(Task):  # type: ignore[misc]  # celery has no types
    """Captions the shard in a message. One instance serves all threads of a worker."""

    name = TASK
    worker = f"{socket.gethostname()}:{os.getpid()}"

    def open(self, settings: WorkerSettings, app: Celery) -> None:
        """Get ready to work: start the decoder and the engine, renew leases, report progress."""
        meter = Meter()
        self._room = Room(settings, opened=lambda asked: Metered(open_engine(asked), meter))
        self._leases = Leases(app)
        dollars = settings.gpu_dollars_per_hour
        self._pulse = Pulse(self.worker, self._room, meter, Ceilings(settings.ceiling_dir), dollars_per_hour=dollars)
        self._reporter = Reporter(app, self._pulse)
        self._queue = ShardQueue(app)

    def close(self) -> None:
        """Let go of everything that `open` started."""
        self._leases.close()
        self._reporter.close()
        self._room.close()

    def run(self, message: dict[str, Any]) -> None:
        """Work one shard; the message is acknowledged when this returns and goes back to the queue when it raises Reject."""
        task = ShardTask.model_validate(message)
        with self._leases.hold(self.request.properties["delivery_tag"]):
            attempt = 0
            try:
                attempt = Progress(self.app, task.job).attempt(task.shard_id)
                self._work(task, attempt)
            except EngineDiedError as error:
                self._leave(error, status=EXIT_ENGINE_DIED)
            except (FatalError, ObjectDenied) as error:
                self._leave(error, status=EXIT_UNFIT)
            except (TransientError, StoreUnavailable) as error:
                self._put_back(task, attempt, error)
            except Exception as error:
                log.exception("shard %s of %s failed unexpectedly", task.shard_id, task.job)
                self._put_back(task, attempt, error)

    def _work(self, task: ShardTask, attempt: int) -> None:
        job, spec = job_of(task.job)
        trial = Attempt(number=attempt, worker=self.worker, at=datetime.now(UTC))
        run = ShardRun(task, job, spec, self._room, trial, lambda tally: self._reporter.count(task.job, tally))
        with self._pulse.at_work(spec.recipe):
            children = run.run()
        for child in children:
            self._queue.send(child)
        Progress(self.app, task.job).settled(task.shard_id)
        self._reporter.count(task.job, Tally(shards=1))
        self._reporter.flush()  # before the ack, so that an empty queue means exact figures

    def _put_back(self, task: ShardTask, attempt: int, error: Exception) -> None:
        """Hold the shard back for a moment, its lease alive, then give it to whoever asks."""
        log.warning("shard %s goes back to the queue after attempt %d: %s", task.shard_id, attempt, error)
        self._complain(f"{error} Trying again.")
        time.sleep(delay_seconds(attempt=attempt, jitter=random.random()))  # noqa: S311 - spreads load, guards nothing
        raise Reject(error, requeue=True) from error

    def _complain(self, message: str) -> None:
        """Tell the operator through the broker, if it can be reached."""
        with suppress(OperatorError):
            report_fault(self.app, message)

    def _leave(self, error: Exception, *, status: int) -> None:
        """Stop taking work and let the process end; whatever it touches would fail, guilty or not."""
        log.error("this worker leaves: %s", error)
        self._complain(str(error))
        state.should_stop = status
        raise Reject(error, requeue=True) from error


@lru_cache(maxsize=64)
def job_of(url: str) -> tuple[Job, JobSpec]:
    """Open a job and read its spec, once per process."""
    job = open_job(url)
    return job, job.spec()
