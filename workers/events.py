"""What Celery's monitors, such as Flower, hear of a shard beyond what Celery tells them: how far it is, and what became of it.

Events go where Celery's own go, published to whoever listens and kept by nobody, and so cost the same whether Flower runs or not.
"""

# mypy: allow-subclassing-any
# celery says nothing of its types

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from celery.exceptions import Reject
from celery.worker import state
from celery.worker.request import Request

from broker import TASK
from broker.messages import label
from broker.progress import Tally
from schemas.redaction import Redactor
from schemas.task import ShardTask
from workers.blackbox import Step

TELL_SECONDS = 5.0
"""How often at most a monitor hears how far a shard is."""
GOING = "task-STARTED"
"""A monitor takes the name of an event that it does not know, in capitals, for the task's state. So the task stays started, and its time
of start and the monitor's counts of starts are left alone."""
LONGEST = 240
"""Characters of a reason that are told."""

_hide = Redactor()


class ShardRequest(Request):
    """A message under way, whose events leave no shard started for ever."""

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's name
        """Tell of it; not of a rejection, which a monitor takes for older than the start, nor of an end of which there are no words."""
        if type == "task-rejected" or (type == "task-succeeded" and not fields["result"]):
            return
        super().send_event(type, **fields)
        if state.should_stop is not None and self._eventer:
            self._send_last()

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Tell of a shard that goes back, before others can have it."""
        error = getattr(exc_info.exception, "exc", exc_info.exception)  # a task's comes wrapped
        if isinstance(error, Reject):
            self.send_event("task-retried", **put_back(error.reason))
        return super().on_failure(exc_info, *args, **kwargs)

    def _send_last(self) -> None:
        """Send what Celery's loop, which has ended, would; and that the worker is gone, since hearing of it makes it seem alive."""
        self._eventer.flush()
        self._eventer.send("worker-offline", freq=2.0)


@dataclass(frozen=True, slots=True)
class Words:
    """A task's result as it reads in a monitor: as it is, without quotes."""

    text: str = ""

    def __repr__(self) -> str:
        """The words themselves."""
        return self.text


def put_back(why: object) -> dict[str, str]:
    """What is told of a shard that is not worked any more, and may come again."""
    said = _hide(str(why))[:LONGEST]
    return {"exception": said, "result": f"put back: {said}"}


@dataclass(slots=True)
class Told:
    """One attempt at a shard, and what was told of it."""

    name: str
    task: ShardTask
    attempts: int
    since: float = field(default_factory=time.time)
    tally: Tally = field(default_factory=Tally)
    said: str = ""
    _lock: Lock = field(default_factory=Lock)

    def count(self, tally: Tally) -> None:
        """Count something done."""
        with self._lock:
            self.tally = self.tally.plus(tally)

    def going(self, step: Step) -> None:
        """Tell how far it is. All is said again each time, for a monitor that was not there before."""
        said = f"{_counted(self.tally.frames, 'frame')} so far{self._where(step)}{self._again}"
        if said == self.said:
            return
        self.said = said
        times = {"received": self.since, "started": self.since}
        self._tell(GOING, name=TASK, args=label(self.task), kwargs="{}", retries=self.attempts - 1, result=said, **times)

    def put_back(self, why: object) -> None:
        """Tell that it is not worked any more, though its message is done with."""
        self._tell("task-retried", **put_back(why))

    def ended(self, children: Sequence[ShardTask]) -> Words:
        """What became of it, in words."""
        done = f"{_counted(self.tally.frames, 'frame')} of {_counted(self.tally.videos, 'video')}" if self.tally.videos else ""
        dead = f"{self.tally.dead} dead" if self.tally.dead else ""
        follow = f"{_counted(len(children), 'shard')} to follow" if children else ""
        return Words((", ".join(filter(None, (done, dead, follow))) or "was done before") + self._again)

    @property
    def _again(self) -> str:
        return f", attempt {self.attempts}" if self.attempts > 1 else ""

    def _where(self, step: Step) -> str:
        videos = len(self.task.videos)
        which = f", video {step.place + 1} of {videos}" if step.place is not None and videos > 1 else ""
        return f" ({step.stage}{which})" if step.stage else ""

    def _tell(self, kind: str, **fields: object) -> None:
        request = state.requests.get(self.name)
        if request is not None:
            request.send_event(kind, **fields)


class Telling:
    """Tells monitors of the shards that a worker is at."""

    def __init__(self, steps: Callable[[], list[Step]]) -> None:
        """Tell of the shards in this black box."""
        self._steps = steps
        self._told: dict[str, Told] = {}
        self._looked_at = time.monotonic()

    @contextmanager
    def of(self, name: str, task: ShardTask, *, tag: str, attempts: int) -> Iterator[Told]:
        """Tell of an attempt at a shard for as long as the block lasts; `name` is its message's."""
        told = self._told[tag] = Told(name, task, attempts)
        try:
            yield told
        finally:
            del self._told[tag]

    def after(self, first: Callable[[], None]) -> Callable[[], None]:
        """What to call every second: something else, and then a look of ours."""

        def both() -> None:
            first()
            self.look()

        return both

    def look(self) -> None:
        """Tell every few seconds how far the shards are; of all at a time, so that their events travel together."""
        now = time.monotonic()
        if now - self._looked_at < TELL_SECONDS:
            return
        self._looked_at = now
        for step in self._steps():
            if told := self._told.get(step.tag):
                told.going(step)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
