"""Shards that stand for what a shard leaves open: of one video each, named under it by the video's place, or two parts of it."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import UTC, datetime

from schemas.job import JobSpec
from schemas.task import ShardTask, Split, root_of
from schemas.video import VideoRef
from storage.job import Job
from workers.coverage import Coverage, Gap


def coverage_of(job: Job, shard: str) -> Coverage:
    """Read what the lines and letters of a shard and its descendants account for."""
    coverage = Coverage()
    coverage.count_lines(job.records(shard))
    coverage.count_letters(letter for _, letter in job.letters(shard))
    return coverage


def free_name(shard: str, place: int, *, taken: Callable[[str], bool]) -> str:
    """Name the next descendant for a place: `S.3`, after another failure `S.3.0`, and so on."""
    name = f"{shard}.{place}"
    while taken(name):
        name += ".0"
    return name


def split(job: Job, task: ShardTask, spec: JobSpec, *, why: str, guilty: int | None) -> list[ShardTask]:
    """Have two parts stand for a shard that ends whoever works on it, one of them the guilty video if it is known; returns what is open.

    The order makes it safe: children that are written down count only once the shard's object is there and empty, and whoever
    creates that object first decides. One with lines makes the split void.
    """
    parts = zip("ab", parted(task.videos, guilty), strict=True)
    children = tuple(task.model_copy(update={"shard_id": f"{task.shard_id}.{name}", "videos": videos}) for name, videos in parts)
    job.write_split(Split(shard_id=task.shard_id, children=children, why=why, at=datetime.now(UTC)))
    job.commit(task, [], spec)
    return remainder(job, task)


def refuse_split(job: Job, task: ShardTask) -> None:
    """Say, before an empty object is committed, that it is one of nothing but failures; a split that came first stands."""
    job.write_split(Split(shard_id=task.shard_id, children=(), why="All its videos failed.", at=datetime.now(UTC)))


def parted(videos: tuple[VideoRef, ...], guilty: int | None) -> tuple[tuple[VideoRef, ...], tuple[VideoRef, ...]]:
    """The guilty video and the others, or two halves."""
    if guilty is not None:
        return (videos[guilty],), (*videos[:guilty], *videos[guilty + 1 :])
    middle = len(videos) // 2
    return videos[:middle], videos[middle:]


def stand_for(job: Job, shard: str) -> tuple[ShardTask, ...]:
    """The children that stand for a committed shard; none if it was never split, or the split is void."""
    standing = job.split_of(shard)
    if standing is None:
        return ()
    metas = dict(job.committed(shard))
    return standing.children if shard in metas and not job.lines(metas[shard]) else ()


def remainder(job: Job, task: ShardTask) -> list[ShardTask]:
    """Shards for all videos and frames of a committed shard that are neither captioned nor dead."""
    if children := stand_for(job, task.shard_id):
        committed = {shard for shard, _ in job.committed(task.shard_id)}
        return [left for child in children for left in (remainder(job, child) if child.shard_id in committed else [child])]
    taken = {shard for shard, _ in job.committed(task.shard_id)}
    gaps = coverage_of(job, root_of(task.shard_id)).gaps(task.videos)
    if task.only_frames is not None:
        gaps = [replace(gap, frames=_within(gap.frames, task.only_frames)) for gap in gaps]
    return stand_ins(task, [gap for gap in gaps if gap.frames != ()], taken)


def _within(frames: tuple[int, ...] | None, only: tuple[int, ...]) -> tuple[int, ...]:
    return only if frames is None else tuple(index for index in frames if index in only)


def stand_ins(task: ShardTask, gaps: Sequence[Gap], taken: AbstractSet[str]) -> list[ShardTask]:
    """One shard per gap, under names that are not committed yet."""
    return [_stand_in(task, gap, free_name(task.shard_id, gap.place, taken=taken.__contains__)) for gap in gaps]


def _stand_in(task: ShardTask, gap: Gap, name: str) -> ShardTask:
    return task.model_copy(update={"shard_id": name, "videos": (gap.video,), "only_frames": gap.frames})
