"""What is to be sent next, in portions, and how far publishing is once a portion is sent.

    the broker forgot what was sent    the standing plan is gone over by prefix: what is not committed and not in flight
    it remembers                       the standing parts from the cursor on, each its biggest shards first
    then                               parts as they are planned

Whatever the job's size, a part of the plan or a chunk of it is in memory, and no more.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from broker.queues import message_id
from schemas.job import PlanPartHeader
from schemas.task import ShardTask
from schemas.tenure import Published
from storage.job import Job
from storage.ledger import PlanPart, biggest_first

CHUNK_SHARDS, CHUNK_VIDEOS = 4096, 1 << 16
"""How much is in memory at once while a plan is gone over: what is sent biggest first, though it is read in the order of ids."""

Seen = Callable[[ShardTask, bool], None]
"""Told of every shard that comes by, and whether it was done before; of some again, where the broker forgets them meanwhile."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Some shards, and how far publishing is behind them."""

    tasks: tuple[ShardTask, ...]
    then: Published


def beginning(job: Job) -> Published:
    """Where a broker that remembers nothing of a job is begun with: all that stands in the plan is gone over."""
    rounds = job.ledger().rounds()
    number = rounds[-1].number if rounds else 0
    last = job.ledger().last_head(number)
    if last is None and not rounds:
        return Published()
    return Published(round=number, part=last.header.part + 1 if last else 0, walked="")


def gone_over(
    job: Job, published: Published, *, flying: frozenset[str], size: int, seen: Seen, most: int = CHUNK_SHARDS
) -> Iterator[Portion]:
    """Go over the standing plan by prefix, from where that was left, for what is neither done nor `flying`."""
    chunk, videos, at = list[ShardTask](), 0, published
    for looked, (task, done) in enumerate(_planned(job, after=published.walked or ""), 1):
        seen(task, done)
        if not done and message_id(task.job, task.shard_id) not in flying:
            chunk.append(task)
            videos += len(task.videos)
        if len(chunk) >= most or videos >= CHUNK_VIDEOS or (not chunk and looked % most == 0):
            before, at = at, published.model_copy(update={"walked": task.shard_id})
            yield from _cut(biggest_first(chunk), size=size, before=before, then=at)
            chunk, videos = [], 0
    yield from _cut(biggest_first(chunk), size=size, before=at, then=published.model_copy(update={"walked": None}))


def _planned(job: Job, *, after: str) -> Iterator[tuple[ShardTask, bool]]:
    """The plan's shards in the order of their ids, and whether each is committed; in memory are the names of one prefix."""
    ledger = job.ledger()
    for prefix in ledger.prefixes():
        if prefix >= after[: len(prefix)]:
            committed = {shard for shard, _ in job.committed(prefix)}
            yield from ((task, task.shard_id in committed) for task in ledger.planned(prefix) if task.shard_id > after)


def _cut(tasks: list[ShardTask], *, size: int, before: Published, then: Published) -> Iterator[Portion]:
    """Cut shards into portions of so many at most; only the last leads on."""
    for start in range(0, max(len(tasks), 1), size):
        yield Portion(tuple(tasks[start : start + size]), then if start + size >= len(tasks) else before)


def standing(job: Job, published: Published, *, size: int, seen: Seen) -> Iterator[Portion]:
    """The parts that stand from here on, the first of them from the shard on that is next."""
    ledger = job.ledger()
    for head in ledger.heads_from(published.round, published.part):
        first = published.shards if _place(head.header) == (published.round, published.part) else 0
        yield from of_part(ledger.part(head), first=first, size=size, seen=seen)


def of_part(part: PlanPart, *, size: int, seen: Seen, first: int = 0) -> Iterator[Portion]:
    """A part's shards, the biggest first, from one of them on."""
    number, place = _place(part.header)
    tasks = biggest_first(list(part.shards))[first:]
    for task in tasks:
        seen(task, False)
    for start in range(0, len(tasks), size):
        portion = tuple(tasks[start : start + size])
        yield Portion(portion, Published(round=number, part=place, shards=first + start + len(portion)))
    yield Portion((), Published(round=number, part=place + 1))


def new(parts: Iterable[PlanPart], published: Callable[[], Published], *, size: int, seen: Seen) -> Iterator[Portion]:
    """Parts as they are planned, but for those that came by before."""
    for part in parts:
        if _place(part.header) >= (published().round, published().part):
            yield from of_part(part, size=size, seen=seen)


def _place(header: PlanPartHeader) -> tuple[int, int]:
    return header.round, header.part
