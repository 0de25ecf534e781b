"""Keeping a bounded window of shards queued: the plan goes in at one end, backpressure comes out at the other."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice

from producer import portions
from producer.portions import Portion, Seen
from producer.sluice import BATCH, Queue, Sluice
from producer.window import Limits
from schemas.control import ControlState
from schemas.task import ShardTask
from schemas.tenure import Published
from storage.control import Heed, halted
from storage.job import Job
from storage.ledger import PlanPart
from storage.tenure import Hold, Pace, Spent, holding

POLL_SECONDS = 0.2
ASK_SECONDS = 5.0
"""How often the broker is asked whether it still remembers."""

Say = Callable[[str], None]
Stopped = Callable[[], bool]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How shards are sent."""

    limits: Limits = field(default_factory=Limits)
    weight: float | None = None
    """The job's share of the workers beside other jobs; None leaves it as it is."""
    batch: int = BATCH
    """Shards that are sent together, at most."""
    pace: Pace = field(default_factory=Pace)
    say: Say = log.warning
    heed: Heed | None = None
    spent: Spent | None = None


def feed(
    job: Job,
    parts: Iterable[PlanPart],
    *,
    queue: Queue,
    stopped: Stopped,
    manner: Manner | None = None,
    seen: Seen = lambda _task, _done: None,
) -> int:
    """Enqueue what stands in the plan and is not sent or not done, then new parts as they are planned; returns how many shards were sent.

    Raises:
        HaltedError: the job was cancelled.
        OperatorError: another producer is at the job, or the source cannot be read.
    """
    manner = manner or Manner()
    with holding(job, say=manner.say, stopped=stopped, pace=manner.pace, spent=manner.spent) as hold:
        if hold is None:
            return 0
        feeder = _Feeder(job, queue, hold, _Sender(job, queue, stopped=stopped, manner=manner, check=hold.check), manner.batch, seen)
        feeder.to_the_end(iter(parts))
        return feeder.sender.sent


def send(tasks: Iterable[ShardTask], *, job: Job, queue: Queue, stopped: Stopped, manner: Manner | None = None) -> int:
    """Enqueue shards as there is room, while the job is not paused; returns how many neither waited nor were in work.

    Raises:
        HaltedError: the job was cancelled.
    """
    manner = manner or Manner()
    sender, coming = _Sender(job, queue, stopped=stopped, manner=manner), iter(tasks)
    while not stopped() and (batch := tuple(islice(coming, manner.batch))):
        sender.send(batch)
    return sender.sent


def wait_while_paused(job: Job, heed: Heed, *, stopped: Stopped, say: Say) -> None:
    """Return once the job is running, or whoever asks is stopped; says once what it waits for.

    Raises:
        HaltedError: the job was cancelled.
    """
    told = False
    while not stopped() and (control := heed.control()).state is not ControlState.RUNNING:
        if control.state is ControlState.CANCELLED:
            raise halted(job, control)
        if not told:
            say(f"{job.url} is {control}: waiting until it goes on, by: framefleet resume {job.url}")
            told = True
        time.sleep(POLL_SECONDS)


class _Sender:
    """Sends shards as there is room, in a job that may be paused."""

    def __init__(self, job: Job, queue: Queue, *, stopped: Stopped, manner: Manner, check: Callable[[], None] = lambda: None) -> None:
        self.heed = manner.heed or Heed(job)
        self.proceed = partial(wait_while_paused, job, self.heed, stopped=stopped, say=manner.say)
        self.stopped, self._check = stopped, check
        self._sluice = Sluice(queue, job.url, manner.limits, weight=manner.weight, say=manner.say, clock=manner.pace.clock)
        self.sent = 0

    def send(self, tasks: tuple[ShardTask, ...]) -> bool:
        """Send all of these; False if stopped before."""
        while tasks:
            self.proceed()
            self._check()
            if self.stopped():
                return False
            passed, new = self._sluice.send(tasks)
            tasks, self.sent = tasks[passed:], self.sent + new
            if not passed:
                time.sleep(POLL_SECONDS)
        return True


@dataclass(slots=True)
class _Feeder:
    """Sends a job's whole plan, and goes over it again where the broker forgot what was sent."""

    job: Job
    queue: Queue
    hold: Hold
    sender: _Sender
    size: int
    seen: Seen
    _asked_at: float = 0.0

    @property
    def _published(self) -> Published:
        return self.hold.tenure.published

    def to_the_end(self, parts: Iterator[PlanPart]) -> None:
        """Send all there is, until it is sent or whoever asks is stopped."""
        over = False
        while not over:
            self.sender.proceed()
            self._find_footing()
            over = self._send(self._portions(parts)) and (self.sender.stopped() or self._has_footing())

    def _portions(self, parts: Iterator[PlanPart]) -> Iterator[Portion]:
        if self._published.walked is not None:
            flying = self.queue.in_flight(self.job.url)  # first, since what is done between the two looks is then seen by either
            yield from portions.gone_over(self.job, self._published, flying=flying, size=self.size, seen=self.seen)
        yield from portions.standing(self.job, self._published, size=self.size, seen=self.seen)
        yield from portions.new(parts, lambda: self._published, size=self.size, seen=self.seen)

    def _send(self, coming: Iterator[Portion]) -> bool:
        """Send portions, and note how far that is; False once the broker has forgotten what was sent."""
        for portion in coming:
            if not self.sender.send(portion.tasks):
                break
            self.hold.note(published=portion.then)
            if self.sender.stopped():
                break
            if not self._has_footing(now_and_then=True):
                return False
        return True

    # What was sent stands as long as the broker's memory does, and the operator's last word

    def _footing(self) -> tuple[str, datetime | None]:
        return self.queue.epoch(self.job.url), self.sender.heed.control().at

    def _find_footing(self) -> None:
        epoch, control_at = self._footing()
        if (epoch, control_at) != (self.hold.tenure.broker_epoch, self.hold.tenure.control_at):
            self.hold.note(broker_epoch=epoch, control_at=control_at, published=portions.beginning(self.job))

    def _has_footing(self, *, now_and_then: bool = False) -> bool:
        now = time.monotonic()
        if now_and_then and now - self._asked_at < ASK_SECONDS:
            return True
        self._asked_at = now
        return self._footing() == (self.hold.tenure.broker_epoch, self.hold.tenure.control_at)
