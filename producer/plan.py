"""The durable plan: every shard stands in storage before its message is sent, and planning goes on where it stopped.

A part takes so many videos in the source's order, and looks as far ahead again: if the source ends there, the part takes the rest too and
is the last. So the last part is never a short one, and big videos in it begin long before the end.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from producer.ahead import PLANNED_BEFORE, Ahead, Taken
from producer.fresh import fresh, rereads
from producer.likely import likely_seconds
from producer.shards import LARGEST, Group, room_in, shards
from producer.sources import Source
from schemas.errors import OperatorError
from schemas.job import JobSpec, PlanComplete, PlanPartHeader, Round, Why
from schemas.task import ShardTask, shard_name
from schemas.video import VideoRef
from storage.job import Job
from storage.ledger import PlanPart
from storage.slices import PlanHead

SMALLEST_PART, LARGEST_PART = 16, 1024
MOST_VIDEOS_IN_A_PART = 256 * LARGEST
VIDEOS = TypeAdapter(tuple[VideoRef, ...])


def plan(job: Job, spec: JobSpec, open_source: Callable[[], Source], *, later: Round | None = None) -> Iterator[PlanPart]:
    """Go on with a round of the plan, and yield its new parts as the source shows more, each written before it is yielded.

    A later round leaves out what earlier ones have planned; it is written down with its first part, and not at all if it has none.

    Raises:
        OperatorError: the source cannot be read, or another producer plans this job at the same time.
    """
    number = later.number if later else 0
    ledger = job.ledger()
    if ledger.complete_page(number) is not None:
        return
    begun = next((found for found in ledger.rounds() if found.number == number), None)
    if begun not in (None, later):  # since this producer looked which is the next
        raise _another(job, f"round {number}")
    standing = _standing(ledger.last_head(number))
    source = open_source()
    if rereads(source, later):
        standing = replace(standing, skipped=Counter())
    limit = None if later and later.why is Why.STALE else standing.left_of(spec.selection.limit)
    with ExitStack() as stack:
        batches = fresh(source, after=standing.cursor, job=job, later=later, stack=stack)
        ahead = Ahead(batches, skipped=standing.skipped, limit=limit)
        while seen := ahead.see(2 * (room := standing.room(spec.videos_per_shard))):
            last = seen < 2 * room
            if later and not begun and not standing.parts and not job.create_round(later):
                raise _another(job, f"round {number}")
            with _without_collecting():
                part = _part(standing, ahead.take(seen if last else room), job=job, spec=spec, number=number, last=last)
            standing = standing.after(part.header)
            yield part
            del part  # it may be large, and the next one is made while whoever took it may have let it go
        if later is None or later in ledger.rounds():
            _complete(job, number, dict(sorted(ahead.left_out().items())))


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Keep the collector of circles from looking through hundreds of thousands of new values, none of which is in one."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where a round of the plan stands."""

    parts: int
    shards: int
    videos: int
    cursor: str
    skipped: Counter[str]

    def room(self, videos_per_shard: int) -> int:
        return part_room(self.parts, first_ordinal=self.shards, videos_per_shard=videos_per_shard)

    def left_of(self, limit: int) -> int | None:
        """How many of so many videos the source may still show; another look counts those that an earlier one has planned."""
        return max(0, limit - self.videos - self.skipped[PLANNED_BEFORE]) if limit else None

    def after(self, header: PlanPartHeader) -> "_Standing":
        return _Standing(self.parts + 1, self.shards + header.shards, self.videos + header.videos, header.cursor, Counter(header.skipped))


def _standing(head: PlanHead | None) -> _Standing:
    if head is None:
        return _Standing(0, 0, 0, "", Counter())
    header = head.header
    return _Standing(header.part, header.shards_before, header.videos_before, "", Counter()).after(header)


def part_size(part: int) -> int:
    """How many shards a part holds: few at first, so that work begins soon; then ever more."""
    return int(min(LARGEST_PART, SMALLEST_PART << min(part, 10)))


def part_room(part: int, *, first_ordinal: int, videos_per_shard: int) -> int:
    """How many videos a part takes: as many as its shards do, but no more than can be in memory twice over."""
    most = max(videos_per_shard, MOST_VIDEOS_IN_A_PART - MOST_VIDEOS_IN_A_PART % (videos_per_shard or 1))
    return min(most, room_in(range(first_ordinal, first_ordinal + part_size(part)), videos_per_shard=videos_per_shard))


def _part(standing: _Standing, taken: Taken, *, job: Job, spec: JobSpec, number: int, last: bool) -> PlanPart:
    """Group the videos of a part and write it down."""
    seconds = likely_seconds(spec.work, taken.uris, taken.sizes, most=spec.recipe.keyframes.max_per_video)
    groups = shards(
        seconds, first_ordinal=standing.shards, videos_per_shard=spec.videos_per_shard, most_seconds=spec.shard_seconds, last=last
    )
    header = PlanPartHeader(
        round=number,
        part=standing.parts,
        recipe_id=spec.recipe_id,
        cursor=taken.cursor,
        shards=len(groups),
        videos=len(taken),
        size_bytes=sum(taken.sizes),
        seconds=round(sum(seconds), 3),
        shards_before=standing.shards,
        videos_before=standing.videos,
        skipped=dict(sorted(taken.skipped.items())),
    )
    tasks = tuple(_task(group, taken, job=job, spec=spec) for group in groups)
    if job.ledger().create_part(header, tasks) is None:
        raise _another(job, f"part {standing.parts}")
    return PlanPart(header, tasks)


def _task(group: Group, taken: Taken, *, job: Job, spec: JobSpec) -> ShardTask:
    videos = VIDEOS.validate_python([{"uri": taken.uris[at], "etag": taken.etags[at], "size_bytes": taken.sizes[at]} for at in group])
    name = shard_name(spec.recipe_id, [(taken.uris[at], taken.etags[at]) for at in group])
    return ShardTask(job=job.url, shard_id=name, recipe_id=spec.recipe_id, videos=videos)


def _another(job: Job, what: str) -> OperatorError:
    return OperatorError(f"Another producer is planning {job.url}: {what} appeared. Let it finish, then run this again.")


def _complete(job: Job, number: int, skipped: dict[str, int]) -> None:
    seals = tuple(head.seal() for head in job.ledger().heads() if head.header.round == number)
    shards, videos = sum(seal.shards for seal in seals), sum(seal.videos for seal in seals)
    job.complete_plan(PlanComplete(parts=seals, shards=shards, videos=videos, skipped=skipped), number=number)
