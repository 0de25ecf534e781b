"""Keeping a bounded window of shards queued: the plan goes in at one end, backpressure comes out at the other."""

import time
from collections.abc import Callable, Iterable

from broker.queues import ShardQueue, message_id
from schemas.task import ShardTask
from storage.job import Job

WINDOW = 256
"""Shards that wait in the queue at most."""
POLL_SECONDS = 0.2


def feed(tasks: Iterable[ShardTask], *, job: Job, queue: ShardQueue, stopped: Callable[[], bool], window: int = WINDOW) -> int:
    """Enqueue every shard that is neither committed nor queued nor in work; returns how many were sent."""
    done, flying, sent = {shard for shard, _ in job.committed()}, queue.in_flight(), 0
    for task in tasks:
        if task.shard_id in done or message_id(task.job, task.shard_id) in flying:
            continue
        if sent % (window // 4 or 1) == 0:
            _wait_for_room(queue, stopped=stopped, window=window)
        if stopped():
            break
        queue.send(task)
        sent += 1
    return sent


def _wait_for_room(queue: ShardQueue, *, stopped: Callable[[], bool], window: int) -> None:
    while not stopped() and queue.depth() >= window:
        time.sleep(POLL_SECONDS)
