from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from schemas.errors import PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.video import VideoRef
from storage import ObjectChanged, ObjectDenied, ObjectMeta, ObjectMissing, StoreUnavailable
from workers.media.ranges import BLOCK_BYTES, BLOCKS_KEPT, StoreSource

MIB = 1024 * 1024


@dataclass
class OneObject:
    """A store of one object, that counts the ranges asked for, or fails."""

    body: bytes
    failure: Exception | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)
    url: str = "fake://"

    def get_range(self, key: str, *, start: int, end: int, etag: str | None = None) -> bytes:
        assert (key, etag) == ("v.mp4", "e1")
        self.asked.append((start, end))
        if self.failure is not None:
            raise self.failure
        return self.body[start:end]

    def head(self, key: str) -> ObjectMeta:
        raise NotImplementedError(key)

    def get(self, key: str) -> bytes:
        raise NotImplementedError(key)

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        raise NotImplementedError(prefix, start_after)

    def create(self, key: str, body: bytes) -> bool:
        raise NotImplementedError(key, body)


def source_of(store: OneObject, size_bytes: int | None = None) -> StoreSource:
    size = len(store.body) if size_bytes is None else size_bytes
    return StoreSource(store, "v.mp4", VideoRef(uri="fake:///v.mp4", etag="e1", size_bytes=size))


def pattern(size_bytes: int) -> bytes:
    return (bytes(range(251)) * (size_bytes // 251 + 1))[:size_bytes]


def test_a_small_object_is_fetched_once_and_whole() -> None:
    store = OneObject(pattern(100_000))
    source = source_of(store)
    assert source.read(start=10, end=20) == store.body[10:20]
    assert source.read(start=0, end=100_000) == store.body
    assert store.asked == [(0, 100_000)]


def test_a_large_object_is_fetched_in_blocks_that_are_kept() -> None:
    store = OneObject(pattern(9 * MIB + 7))
    source = source_of(store)
    assert source.read(start=BLOCK_BYTES - 5, end=BLOCK_BYTES + 5) == store.body[BLOCK_BYTES - 5 : BLOCK_BYTES + 5]
    assert source.read(start=0, end=100) == store.body[:100]
    assert source.read(start=9 * MIB, end=9 * MIB + 7) == store.body[9 * MIB :]
    assert store.asked == [(0, BLOCK_BYTES), (BLOCK_BYTES, 2 * BLOCK_BYTES), (9 * MIB, 9 * MIB + 7)]


def test_a_range_larger_than_a_block_is_fetched_exactly_and_not_kept() -> None:
    store = OneObject(pattern(9 * MIB))
    source = source_of(store)
    assert source.read(start=3, end=2 * MIB) == store.body[3 : 2 * MIB]
    assert source.read(start=3, end=2 * MIB) == store.body[3 : 2 * MIB]
    assert store.asked == [(3, 2 * MIB)] * 2


def test_what_is_kept_of_a_large_object_is_bounded() -> None:
    store = OneObject(pattern((BLOCKS_KEPT + 14) * MIB))
    source = source_of(store)
    for start in range(0, source.size_bytes, 300_000):
        source.read(start=start, end=min(start + 300_000, source.size_bytes))
    assert sum(len(block) for block in source._blocks.values()) == BLOCKS_KEPT * BLOCK_BYTES


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(ObjectMissing(), Reason.OBJECT_GONE), (ObjectChanged(), Reason.OBJECT_CHANGED), (ObjectDenied(), Reason.ACCESS_DENIED)],
)
def test_a_refusal_of_the_store_is_permanent(failure: Exception, reason: Reason) -> None:
    with pytest.raises(PermanentError) as caught:
        source_of(OneObject(b"abc", failure)).read(start=0, end=3)
    assert (caught.value.reason, caught.value.stage) == (reason, Stage.FETCH)


def test_a_silent_store_is_tried_again_later() -> None:
    with pytest.raises(TransientError):
        source_of(OneObject(b"abc", StoreUnavailable())).read(start=0, end=3)


def test_an_object_shorter_than_listed_has_changed() -> None:
    with pytest.raises(PermanentError) as caught:
        source_of(OneObject(b"abc"), size_bytes=10).read(start=0, end=10)
    assert caught.value.reason is Reason.OBJECT_CHANGED
