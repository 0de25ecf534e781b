"""A job as it lies in object storage: the spec, the plan, the commits, the dead letters. It is the only record there is."""

from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from schemas.errors import OperatorError
from schemas.job import IDENTITY, SUFFIXES, JobSpec, PlanComplete, Round
from schemas.record import DeadLetter, FrameRecord
from schemas.task import ShardTask, Split, captions_key, letter_key, redrive_key, split_key
from storage import ObjectMeta, ObjectMissing, Store, open_store
from storage.ledger import Ledger, folder
from storage.lines import from_lines, split_lines, to_lines

SPEC_KEY = "job.json"


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
            wrong = f"{'.'.join(map(str, error.errors()[0]['loc']))}: {error.errors()[0]['msg']}"
            message = f"{self.url}/{SPEC_KEY} was written by another version of framefleet, or by something else ({wrong})"
            raise OperatorError(f"{message}: use the version that wrote it, or name another job.") from error

    def create_spec(self, spec: JobSpec) -> JobSpec:
        """Record what is asked for; the spec that is already there stands if it asks for the same.

        Raises:
            OperatorError: the prefix belongs to other work.
        """
        self.store.create(SPEC_KEY, spec.model_dump_json(indent=2).encode() + b"\n")
        standing = self.latest_spec()
        self.refuse_other_work(standing, spec)
        return standing

    def refuse_other_work(self, standing: JobSpec, asked: JobSpec) -> None:
        """Return if what stands is what is asked.

        Raises:
            OperatorError: it is not.
        """
        if standing.same_work_as(asked):
            return
        advice = "Use another output, or ask the same again."
        if standing.same_work_as(asked.model_copy(update={"recipe_id": standing.recipe_id})):
            advice = self._how_to_change_recipes(standing, asked)
        raise OperatorError(f"{self.url} holds another job: {difference(standing, asked)}. {advice}")

    def _how_to_change_recipes(self, standing: JobSpec, asked: JobSpec) -> str:
        if asked.recipe_id in self.recipe_ids():
            now = f"{standing.recipe.name} ({standing.recipe_id})"
            return f"It has left that recipe and cannot go back: ask with the latest, {now}, or use another output."
        return "Use another output, or caption again what it has of an older recipe with launch --only-stale."

    # The plan

    def ledger(self) -> Ledger:
        """The plan as it is now."""
        return Ledger(self.store, self.url)

    def plan_complete(self) -> PlanComplete | None:
        """Sum up the plan; None while the sources are not exhausted."""
        return self.ledger().complete()

    def spec_for(self, recipe_id: str) -> JobSpec:
        """The spec of the shards with this recipe.

        Raises:
            OperatorError: the job never had it.
        """
        spec = self.spec()
        if spec.recipe_id == recipe_id:
            return spec
        for later in self.ledger().rounds():
            if later.recipe_id == recipe_id:
                return in_round(spec, later)
        raise OperatorError(f"{self.url} has no recipe {recipe_id}: the shard is another job's, or its round.json was deleted.")

    def recipe_ids(self) -> tuple[str, ...]:
        """The recipes that the job has had, in order; new work has the last."""
        return tuple(dict.fromkeys((self.spec().recipe_id, *(later.recipe_id for later in self.ledger().rounds()))))

    def latest_spec(self) -> JobSpec:
        """The spec as of the latest look at the sources."""
        rounds = self.ledger().rounds()
        return in_round(self.spec(), rounds[-1]) if rounds else self.spec()

    def create_round(self, later: Round) -> bool:
        """Begin another look at the sources; False if somebody else began that one otherwise."""
        return self.store.create(f"{folder(later.number)}round.json", later.model_dump_json(indent=2).encode() + b"\n")

    def complete_plan(self, complete: PlanComplete, *, number: int = 0) -> None:
        """Say that the sources are exhausted in a round."""
        self.store.create(f"{folder(number)}complete.json", complete.model_dump_json(indent=2).encode() + b"\n")

    def redrives(self, prefix: str = "") -> Iterator[ShardTask]:
        """Read the redrives asked for, of all shards or of those whose ids begin so; they count as planned."""
        for meta in self.store.list(f"redrives/{prefix}"):
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
        """Stream the splits: all, those of one shard and its descendants, or those of the shards whose ids begin so."""
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
        """Stream the committed shards: all, one with its descendants, or those whose ids begin so (with two hex digits or more)."""
        for meta in self.store.list(below("captions", shard)):
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
        for meta in self.store.list(below("dead", shard)):
            yield meta.key, DeadLetter.model_validate_json(self.store.get(meta.key))


def open_job(url: str) -> Job:
    """Open the job at an output prefix, whether or not anything is there yet."""
    return Job(open_store(url))


def below(folder_: str, prefix: str) -> str:
    """What the keys begin with of objects about shards whose ids begin so, where the first two digits are a folder."""
    return f"{folder_}/{prefix[:2]}/{prefix}" if len(prefix) > 1 else f"{folder_}/{prefix}"


def in_round(spec: JobSpec, later: Round) -> JobSpec:
    """A job's spec as a later look at its sources has it."""
    return spec.model_copy(update={"recipe": later.recipe, "recipe_id": later.recipe_id, "work": later.work})


def difference(standing: JobSpec, asked: JobSpec) -> str:
    """Say in which ways two specs ask for different work."""
    old, new = told(standing), told(asked)
    return "; ".join(f"its {name} is {old[name]}, not {new[name]}" for name in old if old[name] != new[name])


def told(spec: JobSpec) -> dict[str, str]:
    """What decides a spec's output, in an operator's words."""
    recipe = {"recipe": f"{spec.recipe.name} ({spec.recipe_id})"}
    selection = {f"selection.{name}": value for name, value in spec.selection} | {
        f"keyframes.{name}": value for name, value in spec.recipe.keyframes
    }
    rest = {"source": spec.source} | {name: getattr(spec, name) for name in IDENTITY if name not in {"recipe_id", "selection", "sources"}}
    return {name: str(value) for name, value in (rest | selection | recipe).items()}
