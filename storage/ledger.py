"""A job's plan as its ledger: every planned shard, read part by part or prefix by prefix, in memory for one of them.

Round 0 is the first look at the sources, and lies in `plan/`; each later one lies in `plan/round-00001/` and so on.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from operator import attrgetter

from pydantic import ValidationError

from schemas.errors import OperatorError
from schemas.job import PlanComplete, PlanPartHeader, PlanPartSeal, Round
from schemas.task import ShardTask
from storage import ObjectMeta, ObjectMissing, Store
from storage.slices import PREFIXES, SLICE_DIGITS, TAIL_BYTES, PlanHead, PlannedShard, pack, parse_head, parse_slice, slices_below

READS_AT_ONCE = 16
VIDEOS_IN_A_PREFIX = 100_000
"""How many videos may be in memory at once, before prefixes are longer by a digit."""
MOST_DIGITS = 3


@dataclass(frozen=True, slots=True)
class PlanPart:
    """One part of the plan: its header and its shards."""

    header: PlanPartHeader
    shards: tuple[ShardTask, ...]
    """Those with the most bytes first."""


@dataclass(frozen=True, slots=True)
class Totals:
    """How much is planned."""

    shards: int = 0
    videos: int = 0
    skipped: tuple[tuple[str, int], ...] = ()
    """Objects of the sources that are left out, by cause, as of the latest look at them."""


class Ledger:
    """The plan under one output prefix. What was read of the parts' heads is kept, so a ledger shows the plan of one moment."""

    def __init__(self, store: Store, url: str) -> None:
        """Read the plan in this store, of the job with this URL."""
        self._store, self._url = store, url
        self._heads: tuple[PlanHead, ...] | None = None
        self._held: dict[str, bytes] = {}
        self._held_prefix = ""

    def rounds(self) -> tuple[Round, ...]:
        """The later looks at the sources, in order.

        Raises:
            OperatorError: one was written by another version of the fleet.
        """
        keys = (meta.key for meta in self._store.list("plan/round-") if meta.key.endswith("/round.json"))
        return tuple(self._round(key) for key in keys)

    def _round(self, key: str) -> Round:
        try:
            return Round.model_validate_json(self._store.get(key))
        except ValidationError as error:
            raise OperatorError(f"{self._url}/{key} was written by another version of framefleet: {error}") from error

    def heads(self) -> tuple[PlanHead, ...]:
        """Every part's head, in the order in which they were planned."""
        if self._heads is None:
            metas = [meta for meta in self._store.list("plan/") if is_part(meta.key)]
            metas.sort(key=lambda meta: (_round_of(meta.key), meta.key))
            with ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="plan") as pool:
                self._heads = tuple(pool.map(self._head, metas))
        return self._heads

    def last_head(self, number: int) -> PlanHead | None:
        """The last part's head of a round, without a look at the others."""
        last = None
        for meta in self._store.list(f"{folder(number)}part-"):
            last = meta
        return None if last is None else self._head(last)

    def heads_from(self, number: int, part: int) -> Iterator[PlanHead]:
        """The heads from a part of a round on, and of later rounds, without a look at those before."""
        later = (found.number for found in self.rounds() if found.number > number)
        yield from self._heads_behind(number, _part_key(number, part - 1) if part else "")
        for each in later:
            yield from self._heads_behind(each, "")

    def _heads_behind(self, number: int, key: str) -> Iterator[PlanHead]:
        return map(self._head, self._store.list(f"{folder(number)}part-", start_after=key))

    def _head(self, meta: ObjectMeta) -> PlanHead:
        tail = self._store.get_range(meta.key, start=max(0, meta.size_bytes - TAIL_BYTES), end=meta.size_bytes)
        return parse_head(meta.key, tail)

    def totals(self) -> Totals:
        """Sum up what is planned."""
        last = {head.header.round: head.header for head in self.heads()}
        return Totals(
            shards=sum(header.shards_before + header.shards for header in last.values()),
            videos=sum(header.videos_before + header.videos for header in last.values()),
            skipped=tuple(last[max(last)].skipped.items()) if last else (),
        )

    # By part

    def part(self, head: PlanHead) -> PlanPart:
        """Read a whole part."""
        body = self._store.get(head.key)
        shards = [
            self._task(head, shard)
            for prefix in PREFIXES
            if (found := head.slice(prefix)).length
            for shard in parse_slice(head, prefix, body[found.start : found.start + found.length])
        ]
        return PlanPart(head.header, tuple(biggest_first(shards)))

    def first_part(self) -> PlanPart | None:
        """Read the first part alone."""
        first = next((meta for meta in self._store.list("plan/part-")), None)
        return None if first is None else self.part(self._head(first))

    def parts(self) -> Iterator[PlanPart]:
        """Read the whole plan, part by part, in order."""
        return map(self.part, self.heads())

    def create_part(self, header: PlanPartHeader, tasks: Iterable[ShardTask]) -> PlanHead | None:
        """Write a part of the plan; None if another producer wrote that part first, and otherwise."""
        key = _part_key(header.round, header.part)
        body = pack(header, tasks)
        return parse_head(key, body[-TAIL_BYTES:]) if self._store.create(key, body) else None

    # By prefix

    def prefixes(self) -> tuple[str, ...]:
        """The prefixes to go through the plan by: as few hex digits as leave no more in one than can be in memory."""
        digits = 0
        while digits < MOST_DIGITS and self.totals().videos > VIDEOS_IN_A_PREFIX * 16**digits:
            digits += 1
        return tuple(f"{number:0{digits}x}" for number in range(16**digits)) if digits else ("",)

    def planned(self, prefix: str, *, rounds: frozenset[int] | None = None) -> Iterator[ShardTask]:
        """Read the shards whose ids begin so, in the order of their ids; of all rounds, or of these."""
        heads = [head for head in self.heads() if head.span(prefix) and (rounds is None or head.header.round in rounds)]
        bodies = self._bodies(heads, prefix)
        return merge(*(self._slices(head, prefix, bodies[head.key]) for head in heads), key=attrgetter("shard_id"))

    def _bodies(self, heads: list[PlanHead], prefix: str) -> dict[str, bytes]:
        """What these parts have of a prefix, as it lies there; where parts of a slice are read one by one, it is kept for the next."""
        slice_, keep = prefix[:SLICE_DIGITS], len(prefix) > SLICE_DIGITS
        if keep and self._held_prefix == slice_:
            return self._held
        self._held, self._held_prefix = {}, ""
        with ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="plan") as pool:
            bodies = dict(zip((head.key for head in heads), pool.map(lambda head: self._body(head, slice_), heads), strict=True))
        if keep:
            self._held, self._held_prefix = bodies, slice_
        return bodies

    def _body(self, head: PlanHead, prefix: str) -> bytes:
        span = head.span(prefix)
        return self._store.get_range(head.key, start=span.start, end=span.stop)

    def _slices(self, head: PlanHead, prefix: str, body: bytes) -> Iterator[ShardTask]:
        """The shards of what was read of a part, slice by slice."""
        begin = head.span(prefix).start
        for two in slices_below(prefix):
            if (found := head.slice(two)).length:
                shards = parse_slice(head, two, body[found.start - begin : found.start - begin + found.length], below=prefix)
                yield from (self._task(head, shard) for shard in shards)

    def _task(self, head: PlanHead, shard: PlannedShard) -> ShardTask:
        return ShardTask(job=self._url, shard_id=shard.shard_id, recipe_id=head.header.recipe_id, videos=shard.videos)

    # The end

    def complete(self) -> PlanComplete | None:
        """Sum up the plan; None while a look at the sources is not at its end."""
        pages = [self.complete_page(number) for number in (0, *(later.number for later in self.rounds()))]
        found = [page for page in pages if page is not None]
        if len(found) < len(pages):
            return None
        return PlanComplete(
            parts=tuple(seal for page in found for seal in page.parts),
            shards=sum(page.shards for page in found),
            videos=sum(page.videos for page in found),
            skipped=found[-1].skipped,
        )

    def complete_page(self, number: int) -> PlanComplete | None:
        """Read the last page of a round; None while its look at the sources is not at its end."""
        try:
            return PlanComplete.model_validate_json(self._store.get(f"{folder(number)}complete.json"))
        except ObjectMissing:
            return None

    def seals(self) -> tuple[PlanPartSeal, ...]:
        """Sum up the parts that are there."""
        return tuple(head.seal() for head in self.heads())


def folder(number: int) -> str:
    """Where a round of the plan lies."""
    return f"plan/round-{number:05d}/" if number else "plan/"


def _part_key(number: int, part: int) -> str:
    return f"{folder(number)}part-{part:05d}.jsonl.zst"


def is_part(key: str) -> bool:
    """Whether an object of the plan's folder is a part of it."""
    name = key.rpartition("/")[2]
    return name.startswith("part-") and name.endswith(".jsonl.zst")


def biggest_first(tasks: list[ShardTask]) -> list[ShardTask]:
    """Order shards by their bytes, so that what takes long begins early."""
    return sorted(tasks, key=lambda task: (-sum(video.size_bytes for video in task.videos), task.shard_id))


def chunks(tasks: Iterator[ShardTask], size: int) -> Iterator[list[ShardTask]]:
    """Cut a stream of shards into lists of so many at most."""
    return iter(lambda: list(islice(tasks, size)), [])


def _round_of(key: str) -> int:
    return int(key.split("/")[1].removeprefix("round-")) if key.startswith("plan/round-") else 0
