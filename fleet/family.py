"""A planned shard with its descendants: the lines and letters that can contradict each other, read together."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from heapq import merge
from itertools import groupby

from pydantic import ValidationError

from schemas.answer import misfits
from schemas.recipe import Recipe
from schemas.record import DeadLetter, FrameRecord
from schemas.task import ShardTask
from schemas.video import frame_id
from storage import ObjectMeta
from storage.job import Job
from workers.coverage import Coverage, Gap

ROOT_LENGTH = 32


@dataclass(slots=True)
class Family:
    """All that lies in storage for one planned shard."""

    root: str
    committed: set[str] = field(default_factory=set)
    lines: list[tuple[str, FrameRecord]] = field(default_factory=list)
    """Committed lines, each with the shard whose object holds it."""
    letters: dict[str, DeadLetter] = field(default_factory=dict)
    invalid: list[str] = field(default_factory=list)
    """What cannot be read, in words."""

    def gaps(self, task: ShardTask) -> list[Gap]:
        """What of the planned videos nothing accounts for."""
        coverage = Coverage()
        coverage.count_lines(record for _, record in self.lines)
        coverage.count_letters(self.letters.values())
        return coverage.gaps(task.videos)

    def duplicates(self) -> list[str]:
        """Frames that have more than one line, in words."""
        holders = defaultdict(list)
        for shard, record in self.lines:
            holders[record.frame_id].append(shard)
        return [f"frame {frame} has lines in {', '.join(shards)}" for frame, shards in holders.items() if len(shards) > 1]

    def live_letters(self) -> dict[str, DeadLetter]:
        """Letters that stand: no descendant of their shard has answered them, by lines or by a letter of its own."""
        return {key: letter for key, letter in self.letters.items() if not self._answered(letter)}

    def _answered(self, letter: DeadLetter) -> bool:
        below = f"{letter.shard_id}."
        later: list[FrameRecord | DeadLetter] = [record for shard, record in self.lines if shard.startswith(below)]
        later += [other for other in self.letters.values() if other.shard_id.startswith(below)]
        return any(answers(found, letter) for found in later)


def answers(found: FrameRecord | DeadLetter, letter: DeadLetter) -> bool:
    """Whether a later line or letter says what became of a dead video or frame; a new version may have fewer frames than that."""
    if found.video.uri != letter.video.uri:
        return False
    if letter.frame_index is None or found.frame_index in {letter.frame_index, None}:
        return True
    return found.video.etag != letter.video.etag and (found.frames_chosen or 0) <= letter.frame_index


def families(job: Job) -> Iterator[Family]:
    """Stream the families of a job in the order of their roots, in memory for one at a time."""
    recipe = cache(lambda: job.spec().recipe)
    commits = ((root_in(meta), "captions", meta) for meta in job.store.list("captions/"))
    letters = ((root_in(meta), "dead", meta) for meta in job.store.list("dead/"))
    for root, entries in groupby(merge(commits, letters, key=lambda entry: entry[0]), key=lambda entry: entry[0]):
        family = Family(root)
        for _, kind, meta in entries:
            read_lines(family, meta, job, recipe()) if kind == "captions" else read_letter(family, meta, job)
        yield family


def root_in(meta: ObjectMeta) -> str:
    """The planned shard that an object's name speaks of."""
    return meta.key.rpartition("/")[2][:ROOT_LENGTH]


def read_lines(family: Family, meta: ObjectMeta, job: Job, recipe: Recipe) -> None:
    """Read a committed object into its family, checking every line."""
    shard = meta.key.rpartition("/")[2].partition(".jsonl")[0]
    family.committed.add(shard)
    try:
        lines = job.lines(meta)
    except ValueError as error:
        family.invalid.append(f"{meta.key} cannot be unpacked: {error}")
        return
    for number, line in enumerate(lines, start=1):
        try:
            record = FrameRecord.model_validate_json(line)
        except ValidationError as error:
            family.invalid.append(f"{meta.key} line {number} does not fit the schema: {error.errors()[0]['msg']}")
            continue
        if fault := fault_of(record, shard) or misfit_of(record, recipe):
            family.invalid.append(f"{meta.key} line {number}: {fault}")
        family.lines.append((shard, record))


def fault_of(record: FrameRecord, shard: str) -> str:
    """Say how a line contradicts itself or the object it lies in; empty if it does not."""
    if record.shard_id != shard:
        return f"it names shard {record.shard_id}"
    if record.frame_id != frame_id(record.video, stream_index=record.stream_index, pts=record.pts):
        return "its frame_id is not that of its video and pts"
    if record.frame_index >= record.frames_chosen:
        return f"frame {record.frame_index} of only {record.frames_chosen}"
    return ""


def misfit_of(record: FrameRecord, recipe: Recipe) -> str:
    """Say how a line's annotation is not what the recipe asks for; empty if it is. Nine fields were checked as they were read."""
    if record.own_schema != (recipe.answer is not None):
        return "its annotation is of another schema than the recipe's"
    wrong = misfits(record.annotation, recipe.answer_schema) if recipe.answer is not None else []
    return f"its annotation does not fit the recipe's schema ({wrong[0].field or 'the object'}: {wrong[0].keyword})" if wrong else ""


def read_letter(family: Family, meta: ObjectMeta, job: Job) -> None:
    """Read a dead letter into its family."""
    try:
        family.letters[meta.key] = DeadLetter.model_validate_json(job.store.get(meta.key))
    except ValidationError as error:
        family.invalid.append(f"{meta.key} is no dead letter: {error.errors()[0]['msg']}")
