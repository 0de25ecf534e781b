import hashlib
import random
from collections.abc import Sequence

import pytest
from builders import AT, RECIPE, HandmadeJob, new_store, spec_of

from schemas.errors import OperatorError
from schemas.job import PlanPartHeader, Round, Why
from schemas.task import ShardTask, shard_id
from schemas.video import VideoRef
from storage import Store
from storage.job import Job
from storage.ledger import Ledger, biggest_first, folder
from storage.lines import zstd
from storage.memory import MemoryStore
from storage.slices import PREFIXES, TAIL_BYTES, pack, parse_head, parse_slice

RECIPE_ID = spec_of().recipe_id


def shard(number: int, *, videos: int = 3, job: str = "memory://run") -> ShardTask:
    refs = tuple(
        VideoRef(uri=f"s3://b/{number}-{place}.mp4", etag=f'"{number}"', size_bytes=number * 10 + place) for place in range(videos)
    )
    return ShardTask(job=job, shard_id=shard_id(RECIPE_ID, refs), recipe_id=RECIPE_ID, videos=refs)


def header(tasks: Sequence[ShardTask], *, part: int = 0, number: int = 0, before: int = 0) -> PlanPartHeader:
    return PlanPartHeader(
        round=number,
        part=part,
        recipe_id=RECIPE_ID,
        cursor="c",
        shards=len(tasks),
        videos=sum(len(task.videos) for task in tasks),
        size_bytes=1,
        shards_before=before,
        skipped={"excluded": part},
    )


def ledger_of(store: Store, parts: Sequence[Sequence[ShardTask]], *, number: int = 0) -> Ledger:
    before = 0
    for place, tasks in enumerate(parts):
        assert Ledger(store, "memory://run").create_part(header(tasks, part=place, number=number, before=before), tasks)
        before += len(tasks)
    return Ledger(store, "memory://run")


SHARDS = [shard(number) for number in range(600)]
PARTS = [SHARDS[:16], SHARDS[16:300], SHARDS[300:]]


def test_a_plan_is_read_part_by_part_with_its_biggest_shards_first() -> None:
    found = list(ledger_of(new_store(), PARTS).parts())
    assert [part.header.part for part in found] == [0, 1, 2]
    assert [list(part.shards) for part in found] == [biggest_first(part) for part in PARTS]
    assert found[0].shards[0] == SHARDS[15]


def test_a_plan_is_read_prefix_by_prefix_in_the_order_of_its_shards() -> None:
    ledger = ledger_of(new_store(), PARTS)
    found = [task for prefix in PREFIXES for task in ledger.planned(prefix)]
    assert found == sorted(SHARDS, key=lambda task: task.shard_id)


def test_a_prefix_may_be_read_in_sixteenths() -> None:
    ledger = ledger_of(new_store(), PARTS)
    for prefix in ("00", "7f", "ff"):
        sixteenths = [task for digit in "0123456789abcdef" for task in ledger.planned(prefix + digit)]
        assert sixteenths == list(ledger.planned(prefix))


@pytest.mark.parametrize("prefix", ["", "7", "7f", "7f3"])
def test_a_prefix_may_have_any_number_of_digits(prefix: str) -> None:
    found = list(ledger_of(new_store(), PARTS).planned(prefix))
    assert found == sorted((task for task in SHARDS if task.shard_id.startswith(prefix)), key=lambda task: task.shard_id)
    assert found or prefix == "7f3"


@pytest.mark.parametrize(
    ("videos", "digits"), [(0, 0), (100_000, 0), (100_001, 1), (1_600_001, 2), (25_600_000, 2), (25_600_001, 3), (10**12, 3)]
)
def test_a_plan_is_gone_through_by_longer_prefixes_the_larger_it_is(videos: int, digits: int) -> None:
    store = new_store()
    large = header(SHARDS[:1]).model_copy(update={"videos": videos})
    assert Ledger(store, "memory://run").create_part(large, SHARDS[:1])
    prefixes = Ledger(store, "memory://run").prefixes()
    assert (len(prefixes), {len(prefix) for prefix in prefixes}) == (16**digits, {digits})


class Counted(MemoryStore):
    """A store that remembers what was read."""

    def __init__(self) -> None:
        super().__init__(new_store().url)
        self.read: list[tuple[str, int]] = []

    def get(self, key: str) -> bytes:
        self.read.append((key, 0))
        return super().get(key)

    def get_range(self, key: str, *, start: int, end: int, etag: str | None = None) -> bytes:
        assert etag is None
        self.read.append((key, end - start))
        return super().get(key)[start:end]


def test_a_prefix_costs_one_small_read_of_each_part_that_has_it() -> None:
    store = Counted()
    ledger = ledger_of(store, PARTS)
    ledger.heads()
    store.read.clear()
    assert [task for task in ledger.planned("7f") if not task.shard_id.startswith("7f")] == []
    whole = sum(meta.size_bytes for meta in store.list("plan/"))
    assert 1 <= len(store.read) <= 3
    assert sum(size for _, size in store.read) < whole / 50
    store.read.clear()
    assert [list(ledger.planned(f"7f{digit:x}")) for digit in range(16)]
    assert len(store.read) <= 3  # what is read in sixteenths is fetched once


def test_the_last_part_is_found_without_a_look_at_the_others() -> None:
    store = Counted()
    ledger = ledger_of(store, PARTS)
    store.read.clear()
    head = ledger.last_head(0)
    assert head is not None
    assert (head.header.part, head.header.shards_before, len(store.read)) == (2, 300, 1)
    assert ledger.last_head(1) is None


def test_heads_are_read_from_a_part_on_without_a_look_at_those_before() -> None:
    store = Counted()
    ledger_of(store, PARTS)
    for number, parts in ((1, [[shard(700)], [shard(701)]]), (2, [[shard(702)]])):
        ledger_of(store, parts, number=number)
        store.create(f"{folder(number)}round.json", a_round(number).model_dump_json().encode())
    store.read.clear()
    found = [(head.header.round, head.header.part) for head in Ledger(store, "memory://run").heads_from(0, 2)]
    assert found == [(0, 2), (1, 0), (1, 1), (2, 0)]
    assert len([key for key, _ in store.read if "/part-" in key]) == 4
    assert [head.header.round for head in Ledger(store, "memory://run").heads_from(1, 1)] == [1, 2]


def a_round(number: int) -> Round:
    says = {"created_at": AT, "created_by": "ann", "framefleet": "0.1.0"}
    return Round(number=number, why=Why.ADDED, recipe=RECIPE, recipe_id=RECIPE_ID, **says)


def test_rounds_come_one_after_the_other_and_can_be_read_alone() -> None:
    store = new_store()
    ledger_of(store, [SHARDS[:5]])
    ledger = ledger_of(store, [SHARDS[5:7]], number=1)
    assert [(head.header.round, head.header.part) for head in ledger.heads()] == [(0, 0), (1, 0)]
    later = [task for prefix in PREFIXES for task in ledger.planned(prefix, rounds=frozenset({1}))]
    assert sorted(task.videos[0].size_bytes for task in later) == [50, 60]
    assert (ledger.totals().shards, ledger.totals().videos) == (7, 21)


def test_totals_are_those_of_all_parts_and_of_the_last_look() -> None:
    totals = ledger_of(new_store(), PARTS).totals()
    assert (totals.shards, dict(totals.skipped)) == (600, {"excluded": 2})
    assert Ledger(new_store(), "memory://run").totals().shards == 0


def test_a_part_is_written_once_and_again_only_by_the_same_shards_in_any_order() -> None:
    store = new_store()
    ledger = ledger_of(store, [SHARDS[:9]])
    assert ledger.create_part(header(SHARDS[:9]), SHARDS[8::-1]) is not None
    assert ledger.create_part(header(SHARDS[:9]), SHARDS[1:10]) is None
    assert Ledger(store, "memory://run").seals() == (pack_head(SHARDS[:9]).seal(),)


def pack_head(tasks: Sequence[ShardTask]) -> "object":
    return parse_head("plan/part-00000.jsonl.zst", pack(header(tasks), tasks)[-TAIL_BYTES:])


def test_any_decompressor_prints_every_shard_of_a_part() -> None:
    body = pack(header(SHARDS), SHARDS)
    assert len(zstd.decompress(body).splitlines()) == 600


def test_an_index_fits_into_its_tail_however_many_shards_there_are() -> None:
    body = pack(header(SHARDS), SHARDS)
    longest = pack(header(SHARDS).model_copy(update={"cursor": "\u00e4" * 1024}), SHARDS)
    assert parse_head("p", body[-TAIL_BYTES:]).header.shards == parse_head("p", longest[-TAIL_BYTES:]).header.shards == 600


@pytest.mark.parametrize("seed", range(60))
def test_a_spoiled_part_is_told_by_its_name(seed: int) -> None:
    """Wherever a byte is other than it was, or the end is missing."""
    rng = random.Random(seed)  # noqa: S311 - spoils bytes
    body = bytearray(pack(header(SHARDS[:40]), SHARDS[:40]))
    if seed % 3:
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    else:
        del body[rng.randrange(len(body)) :]
    store = new_store()
    store.create("plan/part-00000.jsonl.zst", bytes(body))
    ledger = Ledger(store, "memory://run")
    with pytest.raises(OperatorError, match=r"plan/part-00000\.jsonl\.zst of the plan is damaged \(.*restore it from a backup"):
        list(ledger.parts())


def test_a_seal_speaks_for_every_byte_of_its_part() -> None:
    mine, other = pack_head(SHARDS[:9]), pack_head([*SHARDS[:8], SHARDS[9]])
    assert mine.sha256 != other.sha256
    body = pack(header(SHARDS[:9]), SHARDS[:9])
    found = mine.slice(SHARDS[0].shard_id[:2])
    assert hashlib.sha256(body[found.start : found.start + found.length]).digest().startswith(found.digest)


def test_a_slice_of_another_part_is_refused() -> None:
    prefix = SHARDS[0].shard_id[:2]
    mine, other = pack_head(SHARDS[:1]), pack(header([shard(0, videos=1)]), [shard(0, videos=1)])
    with pytest.raises(OperatorError, match=f"its slice {prefix} is not what its index says"):
        list(parse_slice(mine, prefix, other[: mine.slice(prefix).length]))


def test_a_plan_of_a_job_is_read_through_it() -> None:
    handmade = HandmadeJob(job=Job(new_store("run")))
    tasks = [handmade.shard(f"{name}.mp4") for name in "abc"]
    assert [part.shards for part in handmade.job.ledger().parts()] == [(task,) for task in tasks]
    assert handmade.job.ledger().first_part().shards == (tasks[0],)
