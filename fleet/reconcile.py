"""From storage to the queue: what is planned and not done, and neither waits nor is worked on, is enqueued again.

A broker that forgot everything, or remembers what was true a while ago, costs a look at storage and nothing else.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from broker.queues import ShardQueue, message_id
from fleet.audit import read_all
from fleet.stop import Stop
from producer.enqueue import Manner, send, wait_while_paused
from producer.window import Limits
from schemas.errors import BrokerAwayError
from schemas.task import ShardTask, root_of
from storage import StoreUnavailable
from storage.control import Heed
from storage.job import Job
from storage.ledger import Ledger, biggest_first, chunks
from workers.descendants import stand_for

AT_ONCE = 4096

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
        others = "" if self.sent == self.open else ", the others wait or are in work"
        return f"{self.sent} of {self.open} open shards enqueued{others}.{plan}"


@dataclass(slots=True)
class Counted:
    """Shards that are counted as they pass."""

    tasks: Iterable[ShardTask]
    count: int = 0

    def __iter__(self) -> Iterator[ShardTask]:
        """Pass them on."""
        for task in self.tasks:
            self.count += 1
            yield task


def open_work(job: Job) -> Iterator[ShardTask]:
    """What storage lacks: planned shards, redrives and children of splits without an object, or else committed shards with gaps.

    The biggest come first of so many as are in memory at once.
    """
    ledger, whole = job.ledger(), True
    missing = (task for prefix in ledger.prefixes() for task in lacking(job, ledger, prefix))
    for some in chunks(missing, AT_ONCE):
        whole = False
        yield from biggest_first(some)
    if whole:
        yield from with_gaps(job, ledger)


def lacking(job: Job, ledger: Ledger, prefix: str) -> Iterator[ShardTask]:
    """What has no object of the shards whose ids begin so."""
    planned = {task.shard_id: task for task in ledger.planned(prefix)}
    committed = {shard for shard, _ in job.committed(prefix)}
    redrives = (task for task in job.redrives(prefix) if root_of(task.shard_id) in planned)
    wanted = with_children((*planned.values(), *redrives), job=job, prefix=prefix)
    return (task for task in wanted if task.shard_id not in committed)


def with_gaps(job: Job, ledger: Ledger) -> list[ShardTask]:
    """Committed shards whose lines and letters have gaps; every line is read for that."""
    found = list[ShardTask]()
    read_all(job, ledger, gap=found.append)
    return found


def with_children(tasks: Iterable[ShardTask], *, job: Job, prefix: str = "") -> Iterator[ShardTask]:
    """Shards, each followed by the children that stand for it since it was split, and by theirs."""
    split = {found.shard_id for found in job.splits(prefix)}

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


def reconcile(job: Job, queue: ShardQueue, *, stop: Stop, say: Say, limits: Limits = Limits()) -> Found:  # noqa: B008 - a frozen value
    """Enqueue what is neither done nor queued nor in work, as there is room.

    Raises:
        HaltedError: the job was cancelled meanwhile.
        BrokerAwayError: the broker does not answer.
    """
    flying = {name for message in queue.in_flight() for name in lineage(message)}  # before storage: what is done next is in both
    plan_complete = job.plan_complete() is not None
    counted = Counted(open_work(job))
    idle = (task for task in counted if message_id(task.job, task.shard_id) not in flying)
    sent = send(idle, job=job, queue=queue, stopped=stop, manner=Manner(limits=limits, say=say))
    return Found(counted.count, sent, plan_complete)


def keep_reconciling(
    job: Job,
    queue: ShardQueue,
    *,
    every_seconds: float,
    stop: Stop,
    say: Say,
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
) -> bool:
    """Reconcile now and then until the job is complete, through pauses and while broker or storage are away; False if stopped first.

    Raises:
        HaltedError: the job was cancelled.
    """
    heed, said = Heed(job), ""
    while not stop():
        wait_while_paused(job, heed, stopped=stop, say=say)
        try:
            found = reconcile(job, queue, stop=stop, say=say, limits=limits)
        except (BrokerAwayError, StoreUnavailable) as error:
            words = f"{error} Trying again every {every_seconds:g} s."
        else:
            if found.complete and not stop():
                return True
            words = str(found)
        if words != said and not stop():
            said = words
            say(words)
        stop.sleep(every_seconds)
    return False
