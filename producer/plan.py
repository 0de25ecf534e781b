"""The durable plan: every shard stands in storage before its message is sent, and planning goes on where it stopped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from producer.shards import shards
from producer.sources import Sighting, Source
from schemas.errors import OperatorError
from schemas.job import JobSpec, PlanComplete, PlanPartHeader
from schemas.task import ShardTask, shard_id
from storage.job import Job, PlanPart

SMALLEST_PART, LARGEST_PART = 16, 1024


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
    left_out = dict(standing.skipped)
    seen = _noting(source, left_out, after=standing.cursor)
    sightings = _limited(seen, limit=spec.selection.limit, already=standing.videos)
    groups = shards(sightings, first_ordinal=standing.shards, videos_per_shard=spec.videos_per_shard)
    while group := list(islice(groups, part_size(standing.parts))):
        part = _part(standing.parts, group, job=job, spec=spec, skipped=left_out)
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


def _noting(source: Source, left_out: dict[str, int], *, after: str) -> Iterator[Sighting]:
    """Keep what was left out up to the latest video: what is left out behind it will be met again if the producer dies."""
    for sighting in source.sightings(after=after):
        left_out.update(source.skipped)
        yield sighting


def part_size(part: int) -> int:
    """How many shards a part holds: few at first, so that work begins soon; then ever more."""
    return int(min(LARGEST_PART, SMALLEST_PART << min(part, 10)))


def _limited(sightings: Iterator[Sighting], *, limit: int, already: int) -> Iterator[Sighting]:
    return islice(sightings, max(0, limit - already)) if limit else sightings


def _part(number: int, groups: list[tuple[Sighting, ...]], *, job: Job, spec: JobSpec, skipped: dict[str, int]) -> PlanPart:
    tasks = tuple(_task(group, job=job, spec=spec) for group in groups)
    videos = [video for task in tasks for video in task.videos]
    size_bytes = sum(video.size_bytes for video in videos)
    header = PlanPartHeader(
        part=number,
        cursor=groups[-1][-1].cursor,
        shards=len(tasks),
        videos=len(videos),
        size_bytes=size_bytes,
        skipped=dict(skipped),
    )
    return PlanPart(header, tasks)


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
