"""The task: from a message to the end of its shard. The one place that maps errors to what happens to the message."""

import logging
import os
import random
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from celery import Celery, Task
from celery.exceptions import Reject
from celery.worker import state

from broker import TASK
from broker.breaker import BreakerWatch
from broker.lease import Leases
from broker.messages import carried_by, carrying
from broker.progress import Tally, report_fault
from broker.queues import ShardQueue
from broker.trials import Trial, Trials
from schemas.errors import (
    ClaimLostError,
    DoubtedError,
    DroppedError,
    EngineDiedError,
    FatalError,
    HandedBackError,
    OperatorError,
    TransientError,
    UnsuitableError,
)
from schemas.job import JobSpec
from schemas.reasons import Stage
from schemas.record import Attempt
from schemas.task import ShardTask
from storage import ObjectDenied, StoreUnavailable
from storage.job import Job, open_job
from workers.alone import Alone
from workers.attempt import ShardAttempt, Surroundings
from workers.blackbox import BlackBox
from workers.blame import blame, give_back, refund
from workers.ceiling import Ceilings
from workers.controls import Controls
from workers.drain import Drain
from workers.engines import open_engine
from workers.events import ShardRequest, Telling, Told, Words
from workers.exporter import SeenBreaker, serve_worker
from workers.figures import Figures
from workers.health import Health
from workers.logs import about
from workers.metered import Meter, Metered
from workers.metrics import Reporter
from workers.pipeline import ShardRun
from workers.poison import condemn
from workers.pulse import Pulse
from workers.room import Room
from workers.settings import WorkerSettings
from workers.tracing import open_tracing

EXIT_UNFIT = 4
"""Exit status of a worker that found itself unfit; its messages are back in the queue."""
EXIT_ENGINE_DIED = 5
"""The same where its engine died: started again, the worker is as good as new."""
EXIT_STALLED = 6
"""The same where nothing moved any more."""
HAND_OVER_SECONDS = 2.0
"""How long a worker that stays holds back a shard while the breaker is open; Celery's own transport knows no breaker."""
DOUBT_SECONDS = 10.0
"""How long a shard is held back, times its attempts, whose failures may be this worker's fault: a fleet has others by then."""
UNSUITABLE_SECONDS = 10.0
"""How long a shard is held back that another kind of worker should have."""

log = logging.getLogger(__name__)


def delay_seconds(*, attempt: int, jitter: float) -> float:
    """How long to hold a shard back before its next attempt: doubling from 1 s to 30 s, `jitter` in [0, 1) spreading the upper half."""
    ceiling = min(30.0, 2.0 ** min(max(attempt - 1, 0), 5))
    return ceiling * (0.5 + 0.5 * jitter)


class CaptionShard(Task):  # type: ignore[misc]  # celery has no types
    """Captions the shard in a message. One instance serves all threads of a worker."""

    name = TASK
    Request = ShardRequest
    worker = f"{socket.gethostname()}:{os.getpid()}"

    def open(self, settings: WorkerSettings, app: Celery) -> None:
        """Get ready to work: start the decoder and the engine, renew leases, report progress."""
        health = Health(settings.health_folder)  # before the engine, which may load its model for minutes
        meter, figures = Meter(), Figures()
        self._box = BlackBox(settings.black_box)
        self._room = Room(settings, opened=lambda asked: Metered(open_engine(asked), meter))
        ceilings = Ceilings(settings.ceiling_dir, told=settings.ceiling_frames_per_second)
        self._pulse = Pulse(self.worker, self._room, meter, ceilings, dollars_per_hour=settings.gpu_dollars_per_hour)
        breaker = SeenBreaker(app, units=settings.breaker_units)
        self._telling = Telling(self._box.steps)
        self._reporter = Reporter(app, self._pulse, look=self._telling.after(BreakerWatch(breaker).look))
        self._queue = ShardQueue(app)
        self._alone = Alone()
        self._alike = settings.workers_alike
        self._engine_died, self._blaming = False, threading.Lock()
        leases = Leases(app, stall_seconds=settings.longest_stall_seconds, stalled=self._stalled)
        drain = Drain(settings.grace_seconds, last_resort=self._hand_back)
        tracing = open_tracing(settings.traces, service="framefleet-worker", instance=self.worker)  # after the fork server
        self._around = Surroundings(self.worker, leases, drain, Controls(), breaker, figures, health, tracing)
        self._exporter = serve_worker(settings, self._pulse, figures, draining=lambda: drain.begun, breaker_open=lambda: breaker.open)
        health.ready()

    def drain(self) -> None:
        """Finish or hand back what is under way, and take up nothing more."""
        self._around.drain.begin()
        self._around.health.unready()

    def close(self) -> None:
        """Let go of everything that `open` started."""
        if self._exporter:
            self._exporter.close()
        self._around.health.close()
        self._around.leases.close()
        self._reporter.close()
        self._room.close()
        self._around.tracing.close()

    def run(self, message: dict[str, Any]) -> Words:
        """Work one shard; the message is acknowledged when this returns and goes back to the queue when it raises Reject."""
        job, _, shard = str(self.request.id).partition(":")
        with about(job=job, shard=shard):
            return self._run(message)

    def _run(self, message: dict[str, Any]) -> Words:
        try:
            return self._hold(ShardTask.model_validate(message), self.request.properties["delivery_tag"])
        except Reject:
            raise
        except Exception as error:  # of any other Celery would acknowledge a shard that is not done; another version may understand it
            log.exception("message %s failed where nothing fails", self.request.id)
            self._around.drain.sleep(UNSUITABLE_SECONDS)
            raise Reject(error, requeue=True) from error

    def _hold(self, task: ShardTask, tag: str) -> Words:
        lease = self._around.leases.hold(tag, patience_seconds=task.changes.patience_seconds)
        self._around.figures.claimed(self.request.get("sent_at"))
        try:
            with lease as hold, self._box.place() as place, self._around.health.work():
                attempt = ShardAttempt(task, tag, hold, place, Trials(self.app, task.job), self._around)
                attempt.begin()
                self._around.figures.begun(attempt.trial.attempts)
                with self._telling.of(self.request.id, task, tag=tag, attempts=attempt.trial.attempts) as told:
                    return self._try(attempt, told)
        except ClaimLostError:
            self._around.figures.lease_lost()
            return Words()

    def _try(self, attempt: ShardAttempt, told: Told) -> Words:
        """Work a shard, and turn each kind of failure into what becomes of its message."""
        try:
            with self._around.figures.attempt(), attempt.traced(carried_by(self.request)):
                return told.ended(self._work(attempt, told))
        except ClaimLostError as error:
            log.warning("the shard is left: %s", error)
        except DroppedError as error:
            attempt.refund()
            told.put_back(error)
        except HandedBackError as error:
            self._hand_over(attempt, error)
        except UnsuitableError as error:
            self._pass_on(attempt, error)
        except EngineDiedError as error:
            self._leave(attempt, error, status=EXIT_ENGINE_DIED)
        except (FatalError, ObjectDenied) as error:
            self._leave(attempt, error, status=EXIT_UNFIT)
        except DoubtedError as error:
            self._put_back(attempt, error, seconds=DOUBT_SECONDS * attempt.trial.attempts)
        except (TransientError, StoreUnavailable) as error:
            self._put_back(attempt, error)
        except Exception as error:
            log.exception("the shard failed unexpectedly")
            self._put_back(attempt, error)
        return Words()  # it is told already, or others will tell

    def _work(self, attempt: ShardAttempt, told: Told) -> list[ShardTask]:
        task, trial = attempt.task, attempt.trial
        if self._around.drain.begun:
            raise HandedBackError("This worker is told to end.")
        attempt.job = opened(task.job)
        attempt.check()
        spec = spec_of(attempt.job, task.recipe_id)
        made = Attempt(number=trial.attempts, worker=self.worker, at=datetime.now(UTC))
        run = ShardRun(task, attempt.job, spec, self._room, made, self._counter(task.job, told), attempt)
        beside = self._alone.by_itself if trial.suspect else self._alone.side_by_side
        with beside(check=attempt.check), self._pulse.at_work(spec.recipe):
            children = self._children(run, trial)
        with carrying(attempt.trace.headers):
            for child in children:
                self._queue.send(child)
        attempt.settled()
        self._reporter.count(task.job, Tally(shards=1))
        self._reporter.flush()  # before the ack, so that an empty queue means exact figures
        return children

    def _children(self, run: ShardRun, trial: Trial) -> list[ShardTask]:
        """Work the shard. Who is to blame for a dead engine is said once, and before a shard that only waited for its turn gets it."""
        if self._engine_died:
            raise HandedBackError("This worker's engine died.")
        run.watch.at(Stage.FETCH)
        try:
            return condemn(run, trial) if trial.guilty else run.run()
        except EngineDiedError:
            with self._blaming:
                if not self._engine_died:
                    self._engine_died = True
                    with suppress(OperatorError):
                        blame(self.app, self._box.steps(), how="engine died")
            raise

    def _counter(self, job: str, told: Told) -> Callable[[Tally], None]:
        def count(tally: Tally) -> None:
            self._around.leases.progress()
            self._around.health.moved()
            self._reporter.count(job, tally)
            told.count(tally)

        return count

    def _hand_over(self, attempt: ShardAttempt, error: Exception) -> None:
        """Let another worker have the shard, as if it had not been here."""
        attempt.refund()
        self._around.drain.sleep(HAND_OVER_SECONDS)
        raise Reject(error, requeue=True) from error

    def _pass_on(self, attempt: ShardAttempt, error: Exception) -> None:
        """Hold back what this kind of worker cannot do, so that another kind gets hold of it."""
        if self._alike:
            self._leave(attempt, error, status=EXIT_UNFIT)
        attempt.refund()
        self._complain(str(error))
        self._around.drain.sleep(UNSUITABLE_SECONDS * (0.5 + random.random()))  # noqa: S311 - spreads load, guards nothing
        raise Reject(error, requeue=True) from error

    def _put_back(self, attempt: ShardAttempt, error: Exception, *, seconds: float | None = None) -> None:
        """Hold the shard back for a moment, its lease alive, then give it to whoever asks."""
        number = attempt.trial.attempts
        log.warning("the shard goes back to the queue after attempt %d: %s", number, error)
        attempt.put_back()
        attempt.failed(error)
        self._complain(f"{error} Trying again.")
        jitter = random.random()  # noqa: S311 - spreads load, guards nothing
        self._around.drain.sleep(seconds or delay_seconds(attempt=number, jitter=jitter))
        raise Reject(error, requeue=True) from error

    def _complain(self, message: str) -> None:
        """Tell the operator through the broker, if it can be reached."""
        with suppress(OperatorError):
            report_fault(self.app, message)

    def _leave(self, attempt: ShardAttempt, error: Exception, *, status: int) -> None:
        """Stop taking work and let the process end; whatever it touches would fail, guilty or not."""
        log.error("this worker leaves: %s", error)
        attempt.put_back()
        attempt.failed(error)
        self._complain(str(error))
        state.should_stop = status
        raise Reject(error, requeue=True) from error

    def _hand_back(self) -> None:
        """Give back everything at once, before the process is ended from outside."""
        steps = [step for step in self._box.steps() if not step.committed]
        with suppress(OperatorError):
            refund(self.app, steps)
            give_back(self.app, steps)

    def _stalled(self) -> None:
        """End a process in which nothing moves; its leases run out, or whoever watches it gives them back."""
        message = "This worker has made no progress for too long and ends; its shards go to others."
        log.error(message)
        self._complain(message)
        os._exit(EXIT_STALLED)


@lru_cache(maxsize=64)
def opened(url: str) -> Job:
    """Open a job, once per process."""
    return open_job(url)


@lru_cache(maxsize=64)
def spec_of(job: Job, recipe_id: str) -> JobSpec:
    """Read the spec of a job's shards with a recipe, once per process."""
    return job.spec_for(recipe_id)
