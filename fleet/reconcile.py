"""From storage to the queue: what is planned and not done, and neither waits nor is worked on, is enqueued again.

A broker that forgot everything, or remembers what was true a while ago, costs a look at storage and nothing else.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from broker.queues import ShardQueue, message_id
from fleet.audit import plan_of, read_all
from fleet.stop import Stop
from producer.enqueue import WINDOW, send, wait_while_paused
from schemas.errors import BrokerAwayError
from schemas.task import ShardTask, root_of
from storage import StoreUnavailable
from storage.control import Heed
from storage.job import Job
from workers.descendants import stand_for

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """What one look at storage and queue has found and done."""

    open: int
    """Shards that storage lacks, or that have gaps."""
    sent: int
    plan_complete: bool

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.plan_complete and not self.open

    def __str__(self) -> str:
        """Put it into words."""
        plan = "" if self.plan_complete else " The plan is not complete: unless a producer is at it, run the job's framefleet launch again."
        if not self.open:
            return f"Nothing that is planned is open.{plan}"
        return f"{self.sent} of {self.open} open shards enqueued, the others wait or are in work.{plan}"


def open_work(job: Job) -> list[ShardTask]:
    """What storage lacks: planned shards, redrives and children of splits without an object, or else committed shards with gaps."""
    planned, committed = plan_of(job), {shard for shard, _ in job.committed()}
    redrives = (task for task in job.redrives() if root_of(task.shard_id) in planned)
    wanted = with_children((*planned.values(), *redrives), job=job)
    return [task for task in wanted if task.shard_id not in committed] or read_all(job, planned).incomplete


def with_children(tasks: Iterable[ShardTask], *, job: Job) -> Iterator[ShardTask]:
    """Shards, each followed by the children that stand for it since it was split, and by theirs."""
    split = {found.shard_id for found in job.splits()}

    def family(task: ShardTask) -> Iterator[ShardTask]:
        yield task
        for child in stand_for(job, task.shard_id) if task.shard_id in split else ():
            yield from family(child)

    return (member for task in tasks for member in family(task))


def lineage(message: str) -> Iterator[str]:
    """A message's own name, and those of the shards above it: what is in work below a shard may be filling its gaps."""
    while True:
        yield message
        above, found, _ = message.rpartition(".")
        if not found:
            return
        message = above


def reconcile(job: Job, queue: ShardQueue, *, stop: Stop, say: Say, window: int = WINDOW) -> Found:
    """Enqueue what is neither done nor queued nor in work, as there is room.

    Raises:
        HaltedError: the job was cancelled meanwhile.
        BrokerAwayError: the broker does not answer.
    """
    flying = {name for message in queue.in_flight() for name in lineage(message)}  # before storage: what is done next is in both
    plan_complete = job.plan_complete() is not None
    tasks = open_work(job)
    idle = [task for task in tasks if message_id(task.job, task.shard_id) not in flying]
    sent = send(idle, job=job, queue=queue, stopped=stop, window=window, say=say)
    return Found(len(tasks), sent, plan_complete)


def keep_reconciling(job: Job, queue: ShardQueue, *, every_seconds: float, stop: Stop, say: Say, window: int = WINDOW) -> bool:
    """Reconcile now and then until the job is complete, through pauses and while broker or storage are away; False if stopped first.

    Raises:
        HaltedError: the job was cancelled.
    """
    heed, said = Heed(job), ""
    while not stop():
        wait_while_paused(job, heed, stopped=stop, say=say)
        try:
            found = reconcile(job, queue, stop=stop, say=say, window=window)
        except (BrokerAwayError, StoreUnavailable) as error:
            words = f"{error} Trying again every {every_seconds:g} s."
        else:
            if found.complete:
                return True
            words = str(found)
        if words != said and not stop():
            said = words
            say(words)
        stop.sleep(every_seconds)
    return False
