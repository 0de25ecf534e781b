"""Keeping a bounded window of shards queued: the plan goes in at one end, backpressure comes out at the other."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from broker.queues import ShardQueue, message_id
from producer.plan import plan
from producer.sources import open_source
from schemas.control import ControlState
from schemas.job import JobSpec
from schemas.task import ShardTask
from storage.control import Heed, halted
from storage.job import Job

WINDOW = 256
"""Shards that wait in the queue at most."""
POLL_SECONDS = 0.2

log = logging.getLogger(__name__)


def planned(job: Job, spec: JobSpec) -> Iterator[ShardTask]:
    """The shards of a job's plan, planned as they are asked for."""
    return (task for part in plan(job, spec, lambda: open_source(spec.source, spec.selection)) for task in part.shards)


def feed(
    tasks: Iterable[ShardTask],
    *,
    job: Job,
    queue: ShardQueue,
    stopped: Callable[[], bool],
    window: int = WINDOW,
    say: Callable[[str], None] = log.warning,
) -> int:
    """Enqueue every shard that is neither committed nor queued nor in work; returns how many were sent.

    Raises:
        HaltedError: the job was cancelled.
    """
    flying = queue.in_flight()  # first, since what is done between the two looks is then seen by either
    done = {shard for shard, _ in job.committed()}
    lacking = (task for task in tasks if task.shard_id not in done and message_id(task.job, task.shard_id) not in flying)
    return send(lacking, job=job, queue=queue, stopped=stopped, window=window, say=say)


def send(
    tasks: Iterable[ShardTask],
    *,
    job: Job,
    queue: ShardQueue,
    stopped: Callable[[], bool],
    window: int = WINDOW,
    say: Callable[[str], None] = log.warning,
    heed: Heed | None = None,
) -> int:
    """Enqueue shards as there is room, while the job is not paused; returns how many were sent.

    Raises:
        HaltedError: the job was cancelled.
    """
    proceed = partial(wait_while_paused, job, heed or Heed(job), stopped=stopped, say=say)
    sent = 0
    for task in tasks:
        if sent % (window // 4 or 1) == 0:
            _wait_for_room(queue, window=window, stopped=stopped, proceed=proceed)
        proceed()
        if stopped():
            break
        queue.send(task)
        sent += 1
    return sent


def wait_while_paused(job: Job, heed: Heed, *, stopped: Callable[[], bool], say: Callable[[str], None]) -> None:
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


def _wait_for_room(queue: ShardQueue, *, window: int, stopped: Callable[[], bool], proceed: Callable[[], None]) -> None:
    """A full queue may be that of a job which was paused, and a cancelled one may stay full for ever."""
    while not stopped() and queue.depth() >= window:
        proceed()
        time.sleep(POLL_SECONDS)
