"""A planned shard with its descendants: the lines and letters that can contradict each other, read together."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from pydantic import ValidationError

from fleet.placement import Kind, Placed, all_placed, placed
from schemas.answer import misfits
from schemas.errors import OperatorError
from schemas.job import SUFFIXES
from schemas.recipe import Recipe
from schemas.record import DeadLetter, FrameRecord
from schemas.task import ShardTask, Split, letter_key
from schemas.video import frame_id
from storage import ObjectMeta
from storage.job import Job, below
from storage.lines import split_lines
from workers.coverage import Coverage, Gap

Named = TypeVar("Named", ShardTask, Split)


@dataclass(slots=True)
class Family:
    """All that lies in storage for one planned shard."""

    root: str
    committed: set[str] = field(default_factory=set)
    empty: set[str] = field(default_factory=set)
    """Committed shards whose object has no line."""
    lines: list[tuple[str, FrameRecord]] = field(default_factory=list)
    """Committed lines, each with the shard whose object holds it."""
    letters: dict[str, DeadLetter] = field(default_factory=dict)
    redrives: dict[str, ShardTask] = field(default_factory=dict)
    """Redrives that were asked for, by their shard."""
    splits: dict[str, Split] = field(default_factory=dict)
    """Splits that were written down, by the shard that was split."""
    sums: dict[Kind, list[tuple[str, str]]] = field(default_factory=lambda: {kind: [] for kind in Kind})
    """Each object read, by its key, with its SHA-256."""
    invalid: list[str] = field(default_factory=list)
    """What cannot be read, in words."""

    def standing_splits(self) -> list[Split]:
        """Splits whose children stand for their shard, since its object is there and empty."""
        return [split for shard, split in self.splits.items() if shard in self.empty and split.children]

    def void_splits(self) -> list[Split]:
        """Splits that came too late: somebody had committed the shard's lines."""
        return [split for shard, split in self.splits.items() if shard in self.committed - self.empty and split.children]

    def gaps(self, task: ShardTask) -> list[Gap]:
        """What of the planned videos nothing accounts for."""
        coverage = Coverage()
        coverage.count_lines(record for _, record in self.lines)
        coverage.count_letters(self.letters.values())
        return coverage.gaps(task.videos)

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


def families(job: Job, *, stray: Callable[[ObjectMeta], None] = lambda _: None) -> Iterator[Family]:
    """Stream the families of a job in the order of their roots, in memory for one at a time; what has none is handed to `stray`."""
    reader = Reader(job)
    found = all_placed(job, suffix=reader.suffix, stray=stray)
    for root, members in groupby(found, key=attrgetter("root")):
        family = Family(root)
        for member in members:
            reader.read(family, member)
        yield family


def families_with_letters(job: Job, *, prefix: str = "") -> Iterator[Family]:
    """Stream the families with dead letters, of all shards or of those whose ids begin so.

    Letters are read before lines, so that what a redrive answers meanwhile is found answered.
    """
    reader = Reader(job)
    letters = (found for meta in job.store.list(below("dead", prefix)) if (found := placed(meta, Kind.DEAD, suffix="")))
    for root, members in groupby(letters, key=attrgetter("root")):
        family = Family(root)
        for member in members:
            reader.read(family, member)
        for meta in job.store.list(f"captions/{root[:2]}/{root}"):
            if found := placed(meta, Kind.CAPTIONS, suffix=reader.suffix()):
                reader.read(family, found)
        yield family


def family_of(job: Job, root: str) -> Family:
    """Read one family as it is now, letters last: whoever commits writes the lines first."""
    reader, family = Reader(job), Family(root)
    for kind in (Kind.REDRIVES, Kind.SPLITS, Kind.CAPTIONS, Kind.DEAD):
        folder = f"{kind}/" if kind in {Kind.REDRIVES, Kind.SPLITS} else f"{kind}/{root[:2]}/"
        for meta in job.store.list(folder + root):
            if found := placed(meta, kind, suffix=reader.suffix()):
                reader.read(family, found)
    return family


class Reader:
    """Reads a job's objects into their families, and checks each."""

    def __init__(self, job: Job) -> None:
        """Read this job, whose spec is read only if something has to be held against it."""
        self._job = job
        self._spec = cache(job.spec)
        self._recipe = cache(partial(recipe_in, job))

    def suffix(self) -> str:
        """How the keys of committed objects end."""
        return SUFFIXES[self._spec().compression]

    def read(self, family: Family, found: Placed) -> None:
        """Read one object into its family."""
        body = self._job.store.get(found.meta.key)
        family.sums[found.kind].append((found.meta.key, hashlib.sha256(body).hexdigest()))
        try:
            match found.kind:
                case Kind.CAPTIONS:
                    read_lines(family, found, body, self._recipe)
                case Kind.DEAD:
                    read_letter(family, found, body)
                case Kind.REDRIVES:
                    family.redrives[found.shard] = named(found, ShardTask.model_validate_json(body))
                case Kind.SPLITS:
                    family.splits[found.shard] = named(found, Split.model_validate_json(body))
        except ValidationError as error:
            family.invalid.append(f"{found.meta.key} is no {WHAT[found.kind]}: {error.errors()[0]['msg']}")
        except ValueError as error:
            family.invalid.append(f"{found.meta.key} {error}")


WHAT = {Kind.CAPTIONS: "committed object", Kind.DEAD: "dead letter", Kind.REDRIVES: "redrive", Kind.SPLITS: "split"}


def read_lines(family: Family, found: Placed, body: bytes, recipe_of: Callable[[str], Recipe | None]) -> None:
    """Read a committed object into its family, checking every line."""
    key, shard = found.meta.key, found.shard
    family.committed.add(shard)
    try:
        lines = split_lines(body, key=key)
    except ValueError as error:
        raise ValueError(f"cannot be unpacked: {error}") from error
    if not lines:
        family.empty.add(shard)
    for number, line in enumerate(lines, start=1):
        try:
            record = FrameRecord.model_validate_json(line)
        except ValidationError as error:
            family.invalid.append(f"{key} line {number} does not fit the schema: {error.errors()[0]['msg']}")
            continue
        if fault := fault_of(record, shard) or misfit_of(record, recipe_of(record.recipe_id)):
            family.invalid.append(f"{key} line {number}: {fault}")
        family.lines.append((shard, record))


def read_letter(family: Family, found: Placed, body: bytes) -> None:
    """Read a dead letter into its family.

    Raises:
        ValueError: it is none, or another than its key says.
    """
    letter = DeadLetter.model_validate_json(body)
    family.letters[found.meta.key] = letter
    if letter_key(letter.shard_id, letter.place, letter.frame_index) != found.meta.key:
        raise ValueError(f"is the letter of shard {letter.shard_id}, place {letter.place}, frame {letter.frame_index}")


def named(found: Placed, value: Named) -> Named:
    """A redrive or a split, which must be that of the shard in its key."""
    if value.shard_id != found.shard:
        raise ValueError(f"speaks of shard {value.shard_id}")
    return value


def fault_of(record: FrameRecord, shard: str) -> str:
    """Say how a line contradicts itself or the object it lies in; empty if it does not."""
    if record.shard_id != shard:
        return f"it names shard {record.shard_id}"
    if record.frame_id != frame_id(record.video, stream_index=record.stream_index, pts=record.pts):
        return "its frame_id is not that of its video and pts"
    if record.frame_index >= record.frames_chosen:
        return f"frame {record.frame_index} of only {record.frames_chosen}"
    return ""


def recipe_in(job: Job, recipe_id: str) -> Recipe | None:
    """A recipe of a job; None if it never had it, which is found when lines are held against the plan."""
    try:
        return job.spec_for(recipe_id).recipe
    except OperatorError:
        return None


def misfit_of(record: FrameRecord, recipe: Recipe | None) -> str:
    """Say how a line's annotation is not what the recipe asks for; empty if it is. Nine fields were checked as they were read."""
    if recipe is None:
        return ""
    if record.own_schema != (recipe.answer is not None):
        return "its annotation is of another schema than the recipe's"
    wrong = misfits(record.annotation, recipe.answer_schema) if recipe.answer is not None else []
    return f"its annotation does not fit the recipe's schema ({wrong[0].field or 'the object'}: {wrong[0].keyword})" if wrong else ""
