"""A job as it lies in object storage: the spec, the plan, the commits, the dead letters. It is the only record there is."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from schemas.errors import OperatorError
from schemas.job import IDENTITY, SUFFIXES, JobSpec, PlanComplete, PlanPartHeader, PlanPartSeal
from schemas.record import DeadLetter, FrameRecord
from schemas.task import ShardTask, Split, captions_key, letter_key, redrive_key, split_key
from storage import ObjectMeta, ObjectMissing, Store, open_store
from storage.lines import from_lines, split_lines, to_lines

SPEC_KEY = "job.json"
COMPLETE_KEY = "plan/complete.json"


@dataclass(frozen=True, slots=True)
class PlanPart:
    """One part of the plan: its header and its shards."""

    header: PlanPartHeader
    shards: tuple[ShardTask, ...]


class Job:
    """Everything that stands under one output prefix."""

    def __init__(self, store: Store) -> None:
        """Look at the job in this store."""
        self.store = store

    @property
    def url(self) -> str:
        """The output prefix, which is the job's name."""
        return self.store.url

    def exists(self) -> bool:
        """Whether a job was ever begun here."""
        try:
            self.store.head(SPEC_KEY)
        except ObjectMissing:
            return False
        return True

    def spec(self) -> JobSpec:
        """Read what was asked for.

        Raises:
            OperatorError: there is no job here, or none that this version understands.
        """
        try:
            return JobSpec.model_validate_json(self.store.get(SPEC_KEY))
        except ObjectMissing as error:
            raise OperatorError(f"There is no job at {self.url}: it has no {SPEC_KEY}. Name the output prefix of a job.") from error
        except ValidationError as error:
            raise OperatorError(f"{self.url}/{SPEC_KEY} was written by another version of framefleet: {error}") from error

    def create_spec(self, spec: JobSpec) -> JobSpec:
        """Record what is asked for; the spec that is already there stands if it asks for the same.

        Raises:
            OperatorError: the prefix belongs to other work.
        """
        if self.store.create(SPEC_KEY, spec.model_dump_json(indent=2).encode() + b"\n"):
            return spec
        standing = self.spec()
        if not standing.same_work_as(spec):
            raise OperatorError(f"{self.url} holds another job: {difference(standing, spec)}. Use another output, or ask the same again.")
        return standing

    # The plan

    def plan_parts(self) -> Iterator[PlanPart]:
        """Read the plan, part by part, in order."""
        for meta in self.store.list("plan/part-"):
            yield parse_part(self.store.get(meta.key), key=meta.key)

    def create_part(self, part: PlanPart) -> PlanPartSeal | None:
        """Write a part of the plan; None if another producer wrote that part first."""
        key = f"plan/part-{part.header.part:05d}.jsonl.zst"
        body = to_lines([part.header, *part.shards], key=key)
        return seal(key, body, part) if self.store.create(key, body) else None

    def seals(self) -> list[PlanPartSeal]:
        """Sum up the parts that are there."""
        bodies = ((meta.key, self.store.get(meta.key)) for meta in self.store.list("plan/part-"))
        return [seal(key, body, parse_part(body, key=key)) for key, body in bodies]

    def plan_complete(self) -> PlanComplete | None:
        """Read the plan's last page; None while the source is not exhausted."""
        try:
            return PlanComplete.model_validate_json(self.store.get(COMPLETE_KEY))
        except ObjectMissing:
            return None

    def complete_plan(self, complete: PlanComplete) -> None:
        """Say that the source is exhausted."""
        self.store.create(COMPLETE_KEY, complete.model_dump_json(indent=2).encode() + b"\n")

    def redrives(self) -> Iterator[ShardTask]:
        """Read the redrives asked for; they count as planned."""
        for meta in self.store.list("redrives/"):
            yield ShardTask.model_validate_json(self.store.get(meta.key))

    def ask_redrive(self, task: ShardTask) -> None:
        """Record a redrive before its message is sent."""
        self.store.create(redrive_key(task.shard_id), task.model_dump_json().encode() + b"\n")

    # The splits

    def write_split(self, split: Split) -> Split:
        """Record the children that are to stand for a shard; returns those of whoever came first."""
        key = split_key(split.shard_id)
        return split if self.store.create(key, split.model_dump_json(indent=2).encode() + b"\n") else self._read_split(key)

    def split_of(self, shard: str) -> Split | None:
        """Read which children are to stand for a shard. They do so only if its object is there and empty."""
        try:
            return self._read_split(split_key(shard))
        except ObjectMissing:
            return None

    def splits(self, shard: str = "") -> Iterator[Split]:
        """Stream the splits: all, or those of one shard and its descendants."""
        for meta in self.store.list(f"splits/{shard}"):
            yield self._read_split(meta.key)

    def _read_split(self, key: str) -> Split:
        return Split.model_validate_json(self.store.get(key))

    # The commits

    def commit(self, task: ShardTask, records: Sequence[FrameRecord], spec: JobSpec) -> bool:
        """Commit a shard's lines with one conditional PUT; False if somebody else had committed it."""
        key = captions_key(task.shard_id, SUFFIXES[spec.compression])
        return self.store.create(key, to_lines(records, key=key))

    def is_committed(self, shard: str, spec: JobSpec) -> bool:
        """Whether a shard has its object."""
        try:
            self.store.head(captions_key(shard, SUFFIXES[spec.compression]))
        except ObjectMissing:
            return False
        return True

    def committed(self, shard: str = "") -> Iterator[tuple[str, ObjectMeta]]:
        """Stream the committed shards: all, or one with its descendants."""
        prefix = f"captions/{shard[:2]}/{shard}" if shard else "captions/"
        for meta in self.store.list(prefix):
            shard, found, suffix = meta.key.rpartition("/")[2].partition(".jsonl")
            if found and meta.key == captions_key(shard, suffix):  # what lies elsewhere is no commit; an audit names it
                yield shard, meta

    def lines(self, meta: ObjectMeta) -> list[bytes]:
        """Read the raw lines of a committed object."""
        return split_lines(self.store.get(meta.key), key=meta.key)

    def records(self, shard: str) -> list[FrameRecord]:
        """Read the lines of a shard and of its descendants."""
        return [record for _, meta in self.committed(shard) for record in from_lines(FrameRecord, self.store.get(meta.key), key=meta.key)]

    # The dead letters

    def write_letter(self, letter: DeadLetter) -> bool:
        """Write a dead letter; False if it stands already."""
        key = letter_key(letter.shard_id, letter.place, letter.frame_index)
        return self.store.create(key, letter.model_dump_json(indent=2).encode() + b"\n")

    def letters(self, shard: str = "") -> Iterator[tuple[str, DeadLetter]]:
        """Stream the dead letters with their keys: all, or those of one shard and its descendants."""
        prefix = f"dead/{shard[:2]}/{shard}" if shard else "dead/"
        for meta in self.store.list(prefix):
            yield meta.key, DeadLetter.model_validate_json(self.store.get(meta.key))


def open_job(url: str) -> Job:
    """Open the job at an output prefix, whether or not anything is there yet."""
    return Job(open_store(url))


def parse_part(body: bytes, *, key: str) -> PlanPart:
    """Parse a part of the plan.

    Raises:
        OperatorError: it was cut or spoiled.
    """
    try:
        header, *shards = split_lines(body, key=key)
        return PlanPart(PlanPartHeader.model_validate_json(header), tuple(ShardTask.model_validate_json(line) for line in shards))
    except ValueError as error:
        raise OperatorError(
            f"{key} of the plan is damaged ({error}); restore it from a backup, or begin the job anew elsewhere."
        ) from error


def seal(key: str, body: bytes, part: PlanPart) -> PlanPartSeal:
    """Sum up a part of the plan for the plan's last page."""
    return PlanPartSeal(key=key, sha256=hashlib.sha256(body).hexdigest(), shards=part.header.shards, videos=part.header.videos)


def difference(standing: JobSpec, asked: JobSpec) -> str:
    """Say in which ways two specs ask for different work."""
    old, new = told(standing), told(asked)
    return "; ".join(f"its {name} is {old[name]}, not {new[name]}" for name in old if old[name] != new[name])


def told(spec: JobSpec) -> dict[str, str]:
    """What decides a spec's output, in an operator's words."""
    recipe = {"recipe": f"{spec.recipe.name} ({spec.recipe_id})"}
    selection = {f"selection.{name}": value for name, value in spec.selection}
    rest = {name: getattr(spec, name) for name in IDENTITY if name not in {"recipe_id", "selection"}}
    return {name: str(value) for name, value in (rest | selection | recipe).items()}
