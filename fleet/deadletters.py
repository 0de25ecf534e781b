"""Dead letters for operators: which stand, and trying them again."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice

from fleet.family import Family, families_with_letters
from fleet.overtaken import Overtaken
from schemas.errors import OperatorError
from schemas.reasons import Reason, Stage
from schemas.record import DeadLetter
from schemas.task import Changes, ShardTask, redrive_key
from schemas.video import VideoRef
from storage import ObjectDenied, ObjectMissing, shared_store, split_uri
from storage.job import Job
from workers.descendants import free_name


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters an operator means; empty fields mean any."""

    reasons: tuple[Reason, ...] = ()
    stages: tuple[Stage, ...] = ()
    codecs: tuple[str, ...] = ()
    video: str = ""
    """A glob on the video's URI."""
    limit: int = 0

    def takes(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        named = _is_in(letter.reason, self.reasons) and _is_in(letter.stage, self.stages) and _is_in(letter.codec or UNKNOWN, self.codecs)
        return named and (not self.video or letter.video.uri == self.video or fnmatchcase(letter.video.uri, self.video))


UNKNOWN = "unknown"
"""What a codec is called where it is not known."""
FIELDS: dict[str, Callable[[DeadLetter], str]] = {
    "reason": lambda letter: letter.reason.value,
    "stage": lambda letter: letter.stage.value,
    "codec": lambda letter: letter.codec or UNKNOWN,
    "scope": lambda letter: letter.scope.value,
}
"""What letters are counted by."""


def _is_in(value: str, asked: tuple[str, ...]) -> bool:
    return not asked or value in asked


def fields_in(words: str) -> tuple[str, ...]:
    """Read which fields to count letters by: `reason,stage,codec`.

    Raises:
        OperatorError: letters are not counted by such a field.
    """
    asked = tuple(word.strip() for word in words.split(","))
    for word in asked:
        if word not in FIELDS:
            raise OperatorError(f"Letters are not counted by {word!r}: name some of {', '.join(FIELDS)}, with commas between them.")
    return asked


def counted(letters: Iterable[tuple[str, DeadLetter]], fields: tuple[str, ...]) -> list[tuple[tuple[str, ...], int]]:
    """Count letters by these fields, the most frequent first."""
    found = Counter(tuple(FIELDS[field](letter) for field in fields) for _, letter in letters)
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def live_letters(job: Job, choice: Choice, *, prefix: str = "", overtaken: Overtaken | None = None) -> Iterator[tuple[str, DeadLetter]]:
    """Stream the letters that stand and are meant, with their keys; of all shards or of those whose ids begin so."""
    with nullcontext(overtaken) if overtaken else Overtaken(job.ledger()) as known:
        letters = (found for family in families_with_letters(job, prefix=prefix) for found in _standing(family, choice, known).items())
        yield from islice(letters, choice.limit or None)


def _standing(family: Family, choice: Choice, overtaken: Overtaken) -> dict[str, DeadLetter]:
    """Letters that are meant and that neither a redrive nor a later look has made void."""
    return {key: letter for key, letter in family.live_letters().items() if choice.takes(letter) and not overtaken.has(letter)}


def find_letter(job: Job, name: str) -> tuple[str, DeadLetter]:
    """Find a letter by its key, or by any unambiguous part of its key or of its video's URI.

    Raises:
        OperatorError: there is none, or more than one.
    """
    matches = [(key, letter) for key, letter in job.letters() if name in key or name in letter.video.uri]
    exact = [(key, letter) for key, letter in matches if name in {key, key.rpartition("/")[2].removesuffix(".json")}]
    matches = exact or matches
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise OperatorError(f"No dead letter of {job.url} matches {name!r}; `framefleet dead list {job.url}` shows them.")
    raise OperatorError(f"{len(matches)} dead letters match {name!r}: name one of {', '.join(key for key, _ in matches[:5])}.")


def redrives(job: Job, choice: Choice, changes: Changes = Changes()) -> Iterator[ShardTask]:  # noqa: B008 - a frozen value
    """Make the shards that try the chosen letters again, family by family as they are asked for; nothing is written or sent.

    What a later look has planned as it lies there now is left to that look: it would be captioned twice.
    """
    with Overtaken(job.ledger()) as overtaken:
        tasks = (
            task
            for family in families_with_letters(job)
            for task in family_redrives(family, _standing(family, choice, overtaken), changes)
            if not overtaken.captions(task)
        )
        yield from islice(tasks, choice.limit or None)


def family_redrives(family: Family, letters: dict[str, DeadLetter], changes: Changes) -> list[ShardTask]:
    """One shard per dead video, or per video with dead frames, named under the shard that failed."""
    groups: defaultdict[tuple[str, int], list[tuple[str, DeadLetter]]] = defaultdict(list)
    for key, letter in letters.items():
        groups[letter.shard_id, letter.place].append((key, letter))
    return [redrive_of(group, family, changes) for group in groups.values()]


def redrive_of(group: Iterable[tuple[str, DeadLetter]], family: Family, changes: Changes) -> ShardTask:
    """The shard that tries one video, or its dead frames, again."""
    keys, letters = zip(*group, strict=True)
    first: DeadLetter = letters[0]
    video = as_it_is_now(first.video)
    dead = tuple(sorted(letter.frame_index for letter in letters if letter.frame_index is not None))
    return ShardTask(
        job=first.job,
        shard_id=free_name(first.shard_id, first.place, taken=family.committed.__contains__),
        recipe_id=first.recipe_id,
        videos=(video,),
        only_frames=dead if len(dead) == len(letters) and video.etag == first.video.etag else uncaptioned(video, family),
        earlier_letters=(*first.earlier, *sorted(keys)),
        changes=changes,
    )


def ask(job: Job, task: ShardTask) -> ShardTask:
    """Record that a redrive is wanted, before it is sent; returns what is to be sent.

    A redrive of the same name that was asked for before and is not done yet stands as it was asked: of two shards with one name
    only one commits, and that must be the one on record.
    """
    job.ask_redrive(task)
    return ShardTask.model_validate_json(job.store.get(redrive_key(task.shard_id)))


def uncaptioned(video: VideoRef, family: Family) -> tuple[int, ...] | None:
    """Frames of this very version that have no line yet; None, for all, if none has."""
    seen = [record for _, record in family.lines if record.video == video]
    indexes = {record.frame_index for record in seen}
    return tuple(index for index in range(seen[0].frames_chosen) if index not in indexes) if seen else None


def as_it_is_now(video: VideoRef) -> VideoRef:
    """Pin a video to the bytes that lie there now; it stays as it was if it cannot be looked at."""
    url, key = split_uri(video.uri)
    try:
        meta = shared_store(url).head(key)
    except (ObjectMissing, ObjectDenied):
        return video
    return VideoRef(uri=video.uri, etag=meta.etag, size_bytes=meta.size_bytes)
