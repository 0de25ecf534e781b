"""The durable plan: every shard stands in storage before its message is sent, and planning goes on where it stopped.

A part takes so many videos in the source's order, and looks as far ahead again: if the source ends there, the part takes the rest too and
is the last. So the last part is never a short one, and big videos in it begin long before the end.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from producer.shards import LARGEST, room_in, shards
from producer.sources import Sighting, Source
from schemas.errors import OperatorError
from schemas.job import JobSpec, PlanComplete, PlanPartHeader
from schemas.task import ShardTask, shard_id
from storage.job import Job, PlanPart

SMALLEST_PART, LARGEST_PART = 16, 1024
MOST_VIDEOS_IN_A_PART = LARGEST_PART * LARGEST


def plan(job: Job, spec: JobSpec, open_source: Callable[[], Source]) -> Iterator[PlanPart]:
    """Yield the parts of the plan: those that stand, then new ones as the source shows more, each written before it is yielded.

    Raises:
        OperatorError: the source cannot be read, or another producer plans this job at the same time.
    """
    standing = _Standing()
    for part in job.plan_parts():
        standing.count(part)
        yield part
    if job.plan_complete() is not None:
        return
    source = open_source()
    source.skipped.update(standing.skipped)
    seen = _limited(_noting(source, after=standing.cursor), limit=spec.selection.limit, already=standing.videos)
    ahead = deque[_Noted]()
    while taken := _taken(
        ahead, seen, room=part_room(standing.parts, first_ordinal=standing.shards, videos_per_shard=spec.videos_per_shard)
    ):
        part = _part(standing, taken, job=job, spec=spec, last=not ahead)
        if job.create_part(part) is None:
            raise OperatorError(
                f"Another producer is planning {job.url}: part {standing.parts} appeared. Let it finish, then run this again."
            )
        standing.count(part)
        yield part
    _complete(job, source)


@dataclass(slots=True)
class _Standing:
    """Where the plan stands."""

    parts: int = 0
    shards: int = 0
    videos: int = 0
    cursor: str = ""
    skipped: dict[str, int] = field(default_factory=dict)

    def count(self, part: PlanPart) -> None:
        self.parts += 1
        self.shards += part.header.shards
        self.videos += part.header.videos
        self.cursor = part.header.cursor
        self.skipped = part.header.skipped


@dataclass(frozen=True, slots=True)
class _Noted:
    """A video, and what was left out up to it: what is left out behind it will be met again if the producer dies."""

    sighting: Sighting
    skipped: dict[str, int]


def _noting(source: Source, *, after: str) -> Iterator[_Noted]:
    skipped: dict[str, int] = {}
    for sighting in source.sightings(after=after):
        if skipped != source.skipped:
            skipped = dict(source.skipped)
        yield _Noted(sighting, skipped)


def _taken(ahead: deque[_Noted], seen: Iterator[_Noted], *, room: int) -> list[_Noted]:
    """Take a part's videos, or all that are left if they would not fill the part behind it half; leaves in `ahead` what was seen."""
    ahead.extend(islice(seen, 2 * room - len(ahead)))
    return [ahead.popleft() for _ in range(len(ahead) if len(ahead) < 2 * room else room)]


def part_size(part: int) -> int:
    """How many shards a part holds: few at first, so that work begins soon; then ever more."""
    return int(min(LARGEST_PART, SMALLEST_PART << min(part, 10)))


def part_room(part: int, *, first_ordinal: int, videos_per_shard: int) -> int:
    """How many videos a part takes: as many as its shards do, but no more than can be in memory twice over."""
    most = max(videos_per_shard, MOST_VIDEOS_IN_A_PART - MOST_VIDEOS_IN_A_PART % (videos_per_shard or 1))
    return min(most, room_in(range(first_ordinal, first_ordinal + part_size(part)), videos_per_shard=videos_per_shard))


def _limited(seen: Iterator[_Noted], *, limit: int, already: int) -> Iterator[_Noted]:
    return islice(seen, max(0, limit - already)) if limit else seen


def _part(standing: _Standing, taken: list[_Noted], *, job: Job, spec: JobSpec, last: bool) -> PlanPart:
    sightings = [noted.sighting for noted in taken]
    groups = shards(sightings, first_ordinal=standing.shards, videos_per_shard=spec.videos_per_shard, last=last)
    header = PlanPartHeader(
        part=standing.parts,
        cursor=sightings[-1].cursor,
        shards=len(groups),
        videos=len(sightings),
        size_bytes=sum(sighting.video.size_bytes for sighting in sightings),
        skipped=dict(taken[-1].skipped),
    )
    return PlanPart(header, tuple(_task(group, job=job, spec=spec) for group in groups))


def _task(group: tuple[Sighting, ...], *, job: Job, spec: JobSpec) -> ShardTask:
    videos = tuple(sighting.video for sighting in group)
    return ShardTask(job=job.url, shard_id=shard_id(spec.recipe_id, videos), recipe_id=spec.recipe_id, videos=videos)


def _complete(job: Job, source: Source) -> None:
    seals = tuple(job.seals())
    complete = PlanComplete(
        parts=seals,
        shards=sum(seal.shards for seal in seals),
        videos=sum(seal.videos for seal in seals),
        skipped=dict(source.skipped),
    )
    job.complete_plan(complete)
