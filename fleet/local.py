"""The whole fleet on one machine: a private Redis, real workers, the real producer; over when storage says so."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain

from broker.app import make_app
from broker.breaker import Breaker
from broker.embedded import embedded_redis
from broker.progress import Progress, Tally, faults
from broker.queues import ShardQueue
from broker.trials import Trials
from fleet.audit import AuditReport, audit
from fleet.crew import Crew
from fleet.logs import log_folder
from fleet.reconcile import open_work, reconcile
from fleet.stop import LOOK_SECONDS, Stop, listening
from fleet.view import Snapshot, View
from producer.enqueue import Manner, feed, send
from producer.rounds import new_parts
from schemas.errors import OperatorError
from schemas.job import JobSpec
from schemas.task import ShardTask
from storage.control import Heed, obey, refuse_halted
from storage.job import Job
from workers.settings import read_settings

IDLE_LOOKS = 3
"""How many looks in a row must find the queue empty before storage is asked whether all is done."""
ATTEMPTS = 8
"""How often a shard may come back before the run is given up."""


class Interrupted(Exception):  # noqa: N818 - it is what the operator did, not what went wrong
    """The operator stopped the run; running again goes on from here."""


@dataclass(slots=True)
class Feeder:
    """The producer, in a thread of its own."""

    work: Callable[[], int]
    found: int = 0
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Begin to plan and enqueue."""
        threading.Thread(target=self._run, name="producer", daemon=True).start()

    def finished(self) -> bool:
        """Whether everything was enqueued; raises what the producer raised."""
        if self.error is not None:
            raise self.error
        return self.done.is_set()

    def _run(self) -> None:
        try:
            self.found = self.work()
        except BaseException as error:  # noqa: BLE001 - handed to the main thread
            self.error = error
        self.done.set()


@dataclass(slots=True)
class Come:
    """Videos planned and finished before, as the producer comes by them."""

    videos: int = 0
    before: int = 0

    def by(self, task: ShardTask, done: bool) -> None:  # noqa: FBT001 - as the producer tells it
        """Count a shard."""
        self.videos += len(task.videos)
        self.before += len(task.videos) if done else 0


@dataclass(frozen=True, slots=True)
class Feeding:
    """What a run is to send."""

    work: Callable[[ShardQueue, Stop, Manner, Come], int]
    """Sends it, and counts it; returns how many shards were sent."""
    surely: bool = True
    """Whether there is something to work, also where storage lacks nothing."""


def captioning(job: Job, spec: JobSpec, say: Callable[[str], None]) -> Feeding:
    """Send a job's plan and what comes to it; a plan that is complete is only gone on with if something is new or has changed.

    What such a plan still has open is worked also where its sources cannot be looked at any more.

    Raises:
        OperatorError: they cannot, and nothing is open.
    """
    parts, surely = new_parts(job, spec), True
    if job.plan_complete() is not None:
        try:
            first = next(parts, None)
        except OperatorError as error:
            if next(open_work(job), None) is None:
                raise
            say(f"Nothing new is looked for, only what is planned is worked: {error}")
            first = None
        parts, surely = chain([first] if first else [], parts), first is not None
    return Feeding(lambda queue, stop, manner, come: feed(job, parts, queue=queue, stopped=stop, manner=manner, seen=come.by), surely)


def redriving(job: Job, tasks: Iterable[ShardTask]) -> Feeding:
    """Send some shards of a job, each as soon as it is on record."""

    def work(queue: ShardQueue, stop: Stop, manner: Manner, come: Come) -> int:
        return send(counted(tasks, come), job=job, queue=queue, stopped=stop, manner=replace(manner, batch=1))

    return Feeding(work, surely=False)


def counted(tasks: Iterable[ShardTask], come: Come) -> Iterator[ShardTask]:
    """Count shards as they pass."""
    for task in tasks:
        come.by(task, False)
        yield task


def run_here(job: Job, feeding: Feeding, *, workers: int, env: Mapping[str, str], view: View) -> AuditReport:
    """Work all shards of a job to their end on this machine, and prove it; no worker is started where there is nothing to do.

    Raises:
        OperatorError: the source cannot be read, or the workers cannot go on.
        HaltedError: the job is paused or cancelled, or was so from elsewhere while it ran; nothing is lost.
        Interrupted: the operator stopped it; nothing is lost.
    """
    refuse_halted(job)
    if not feeding.surely and next(open_work(job), None) is None:
        return audit(job)
    read_settings()  # what every worker would leave for is said at once
    stop = Stop()
    with log_folder("framefleet-logs-") as logs, listening(stop), embedded_redis() as broker_url:
        recipe = logs / "recipe.json"
        recipe.write_text(job.latest_spec().recipe.model_dump_json(), encoding="utf-8")
        crew = Crew(workers, {**os.environ, **env, "FRAMEFLEET_RECIPE": str(recipe), "FRAMEFLEET_BROKER_URL": broker_url}, logs)
        crew.start()
        run = Run(job, crew, broker_url, stop, view)
        try:
            return run.to_the_end(feeding)
        except OperatorError as error:
            raise run.explained(error) from error
        finally:
            crew.stop(grace_seconds=0.0 if stop.asked > 1 else 10.0)


class Run:
    """One run on one machine."""

    def __init__(self, job: Job, crew: Crew, broker_url: str, stop: Stop, view: View) -> None:
        """Run a job with a crew that is already started."""
        app = make_app(broker_url)
        self._app, self._job, self._crew, self._stop, self._view = app, job, crew, stop, view
        self._queue, self._progress, self._come = ShardQueue(app), Progress(app, job.url), Come()
        self._manner = Manner(say=view.note)
        self._trials = Trials(app, job.url)
        self._planned: Callable[[], bool] = lambda: False
        self._heed = Heed(job)
        self._heard, self._halted = "", False
        self._breaker = Breaker(app)
        self._begun = False
        self._view.note("starting the workers")

    def to_the_end(self, feeding: Feeding) -> AuditReport:
        """Feed and watch until storage says complete."""
        self._work(lambda: feeding.work(self._queue, self._stop, self._manner, self._come))
        self._planned = lambda: True
        while self._work(self._reconcile):
            pass
        self._view.note("auditing")
        self._look()
        return audit(self._job)

    def _work(self, feeding: Callable[[], int]) -> int:
        """Feed until all is sent, and watch until all of it is worked; returns what feeding found to do."""
        feeder = Feeder(feeding)
        feeder.start()
        self._watch_until(lambda: feeder.finished() and not self._queue.in_flight())
        return feeder.found

    def explained(self, error: OperatorError) -> OperatorError:
        """Add to an error what the workers said before they left, and where their logs lie."""
        said: list[str] = []
        with suppress(OperatorError):  # the broker may be what failed
            said = faults(self._app)
        cause = f" {said[0]}" if said else ""
        return OperatorError(
            f"{error}{cause} The workers' logs are in {self._crew.logs}; running the same command again goes on from here."
        )

    def _reconcile(self) -> int:
        """Enqueue what storage lacks: planned shards without an object, and committed ones with gaps."""
        self._view.note("checking storage")
        return reconcile(self._job, self._queue, stop=self._stop, say=self._view.note).open

    def _watch_until(self, over: Callable[[], bool]) -> None:
        idle = 0
        while idle < IDLE_LOOKS:
            if self._stop.asked:
                self._drain()
            obey(self._job, self._heed.control())
            self._look()
            idle = idle + 1 if over() else 0
            time.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        tally = self._progress.tally()
        self._crew.tend(frames=tally.frames + tally.dead)
        worst = max(self._trials.attempts().items(), key=lambda item: item[1], default=("", 0))
        if worst[1] > ATTEMPTS:
            raise OperatorError(f"Shard {worst[0]} came back {worst[1]} times.")
        self._listen()
        if not self._begun and tally != Tally():
            self._begun = True
            self._view.note("")
        self._show(tally)

    def _listen(self) -> None:
        """Pass on what a worker complains of, unless it says the same again."""
        said = next(iter(faults(self._app)), self._heard)
        if said != self._heard:
            self._heard = said
            self._view.say(f"A worker says: {said}")
        if (why := self._breaker.state()) and not self._halted:
            self._view.say(
                f"The breaker is open: {why.in_words()}. That is the fleet's fault: nothing but a probe is worked until it goes well."
            )
        elif self._halted and not why:
            self._view.say("The breaker is closed again: work goes on.")
        self._halted = why is not None

    def _show(self, tally: Tally) -> None:
        come = self._come
        done = min(come.videos, come.before + tally.videos)
        self._view.show(Snapshot(done, come.videos, self._planned(), tally.frames, tally.dead, come.before))

    def _drain(self) -> None:
        """Let the workers finish what they have begun, unless the operator asks again."""
        self._view.note("draining; Ctrl-C again stops at once")
        self._crew.drain()
        while not self._crew.gone() and self._stop.asked == 1:
            self._show(self._progress.tally())
            time.sleep(LOOK_SECONDS)
        raise Interrupted
