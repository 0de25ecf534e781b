"""Shards of one video that stand for what a shard has left open, named under it by the video's place."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from schemas.task import ShardTask, root_of
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


def remainder(job: Job, task: ShardTask) -> list[ShardTask]:
    """Shards for all videos and frames of a committed shard that are neither captioned nor dead."""
    gaps = coverage_of(job, root_of(task.shard_id)).gaps(task.videos)
    if task.only_frames is not None:
        gaps = [replace(gap, frames=_within(gap.frames, task.only_frames)) for gap in gaps]
    return stand_ins(job, task, [gap for gap in gaps if gap.frames != ()])


def _within(frames: tuple[int, ...] | None, only: tuple[int, ...]) -> tuple[int, ...]:
    return only if frames is None else tuple(index for index in frames if index in only)


def stand_ins(job: Job, task: ShardTask, gaps: Sequence[Gap]) -> list[ShardTask]:
    """One shard per gap, under names that are not committed yet."""
    taken = {shard for shard, _ in job.committed(task.shard_id)} if gaps else set()
    return [_stand_in(task, gap, free_name(task.shard_id, gap.place, taken=taken.__contains__)) for gap in gaps]


def _stand_in(task: ShardTask, gap: Gap, name: str) -> ShardTask:
    return task.model_copy(update={"shard_id": name, "videos": (gap.video,), "only_frames": gap.frames})
