"""What the keys of a job's objects say: which shard each speaks of, and whether it lies where the fleet puts such an object."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from heapq import merge
from operator import attrgetter

from schemas.task import SHARD_ID, captions_key, letter_name, redrive_key, root_of, split_key
from storage import ObjectMeta
from storage.job import Job

LETTER = re.compile(r"(?P<shard>.+)-(?P<place>0|[1-9]\d*)(\.(?P<frame>0|[1-9]\d*))?")
SHARD = re.compile(SHARD_ID)


class Kind(StrEnum):
    """What speaks of shards; each has a folder of its own."""

    CAPTIONS = "captions"
    DEAD = "dead"
    REDRIVES = "redrives"
    SPLITS = "splits"


@dataclass(frozen=True, slots=True)
class Placed:
    """An object that lies where it belongs."""

    kind: Kind
    shard: str
    meta: ObjectMeta

    @property
    def root(self) -> str:
        """The planned shard that it speaks of."""
        return root_of(self.shard)


def all_placed(job: Job, *, suffix: Callable[[], str], stray: Callable[[ObjectMeta], None]) -> Iterator[Placed]:
    """Stream all that speaks of shards in the order of their roots; what lies elsewhere than it should is handed to `stray`."""
    return merge(*(_of_kind(job, kind, suffix, stray) for kind in Kind), key=attrgetter("root"))


def _of_kind(job: Job, kind: Kind, suffix: Callable[[], str], stray: Callable[[ObjectMeta], None]) -> Iterator[Placed]:
    for meta in job.store.list(f"{kind}/"):
        if _is_unfinished(meta.key):
            continue
        if (found := placed(meta, kind, suffix=suffix())) is None:
            stray(meta)
        else:
            yield found


def placed(meta: ObjectMeta, kind: Kind, *, suffix: str) -> Placed | None:
    """Read a key; None if no object of this kind is ever created there. `suffix` is that of the job's compression."""
    name = meta.key.rpartition("/")[2]
    match kind:
        case Kind.CAPTIONS:
            shard = name.removesuffix(f".jsonl{suffix}")
            belongs = captions_key(shard, suffix)
        case Kind.DEAD:
            shard, letter = _letter(name.removesuffix(".json"))
            belongs = f"dead/{shard[:2]}/{letter}.json"
        case Kind.REDRIVES:
            shard = name.removesuffix(".json")
            belongs = redrive_key(shard)
        case Kind.SPLITS:
            shard = name.removesuffix(".json")
            belongs = split_key(shard)
    return Placed(kind, shard, meta) if meta.key == belongs and SHARD.match(shard) else None


def _letter(name: str) -> tuple[str, str]:
    """The shard in a letter's name, and how such a letter would be called."""
    found = LETTER.fullmatch(name)
    if found is None:
        return "", ""
    shard, frame = found["shard"], found["frame"]
    return shard, letter_name(shard, int(found["place"]), None if frame is None else int(frame))


def _is_unfinished(key: str) -> bool:
    """Whether a file is what a writer that was killed left of one: never an object, wherever it was copied to."""
    name = key.rpartition("/")[2]
    return name.startswith(".") and name.endswith(".part")
