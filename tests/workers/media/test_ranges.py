import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from schemas.errors import PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.record import Fetched
from schemas.video import VideoRef
from storage import ObjectChanged, ObjectDenied, ObjectMeta, ObjectMissing, StoreUnavailable
from workers.media.costs import MOST_AT_ONCE, ReadCosts
from workers.media.ranges import AHEAD_BYTES, LONGEST_PLAN, StoreSource

MIB = 1024 * 1024


@dataclass
class OneObject:
    """A store of one object, that counts the ranges asked for, or fails."""

    body: bytes
    failure: Exception | None = None
    before: Callable[[], object] = lambda: None
    asked: list[tuple[int, int]] = field(default_factory=list)
    url: str = "fake://"

    def get_range(self, key: str, *, start: int, end: int, etag: str | None = None) -> bytes:
        assert (key, etag) == ("v.mp4", "e1")
        self.asked.append((start, end))
        self.before()
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

    def replace(self, key: str, body: bytes) -> None:
        raise NotImplementedError(key, body)


def source_of(store: OneObject, size_bytes: int | None = None, costs: ReadCosts = ReadCosts()) -> StoreSource:  # noqa: B008
    size = len(store.body) if size_bytes is None else size_bytes
    return StoreSource(store, "v.mp4", VideoRef(uri="fake:///v.mp4", etag="e1", size_bytes=size), costs=costs)


def pattern(size_bytes: int) -> bytes:
    return (bytes(range(251)) * (size_bytes // 251 + 1))[:size_bytes]


def test_a_small_object_is_fetched_once_and_whole() -> None:
    store = OneObject(pattern(100_000))
    source = source_of(store)
    assert source.read(start=10, end=20) == store.body[10:20]
    assert source.read(start=0, end=100_000) == store.body
    assert store.asked == [(0, 100_000)]


def test_a_large_object_is_read_exactly_where_nothing_is_planned() -> None:
    store = OneObject(pattern(9 * MIB))
    source = source_of(store)
    assert source.read(start=3, end=2 * MIB) == store.body[3 : 2 * MIB]
    assert source.read(start=MIB, end=3 * MIB) == store.body[MIB : 3 * MIB]
    assert store.asked == [(3, 2 * MIB), (2 * MIB, 3 * MIB)]


def test_planned_ranges_are_joined_over_gaps_that_cost_less_than_a_request() -> None:
    store = OneObject(pattern(9 * MIB))
    source = source_of(store, costs=ReadCosts(request_bytes=1000))
    source.plan([(10, 20), (1000, 3000), (5000, 6000)])
    assert source.read(start=10, end=20) == store.body[10:20]
    assert source.read(start=5000, end=6000) == store.body[5000:6000]
    assert source.read(start=1000, end=3000) == store.body[1000:3000]
    assert sorted(store.asked) == [(10, 3000), (5000, 6000)]
    assert source.fetched == Fetched(bytes_read=2990 + 1000, requests=2)


def test_planned_ranges_are_fetched_side_by_side_before_they_are_asked_for() -> None:
    together = threading.Barrier(3, timeout=10)
    source = source_of(OneObject(pattern(9 * MIB), before=together.wait))
    source.plan([(number * MIB, number * MIB + 10) for number in (1, 3, 5)])
    assert source.read(start=5 * MIB, end=5 * MIB + 10) == source.read(start=5 * MIB, end=5 * MIB + 10)


SOMEWHERE = [(number * MIB, number * MIB + 10) for number in (1, 3, 5)]


def test_files_are_fetched_ahead_by_one_thread_after_the_other_range() -> None:
    fetched_by = set[int]()
    store = OneObject(pattern(9 * MIB), before=lambda: fetched_by.add(threading.get_ident()), url="file:///films")
    source = source_of(store)
    source.plan(SOMEWHERE)
    assert [source.read(start=start, end=end) for start, end in SOMEWHERE] == [store.body[start:end] for start, end in SOMEWHERE]
    assert store.asked == SOMEWHERE
    assert len(fetched_by) == 1
    assert threading.get_ident() not in fetched_by


def test_a_file_that_fails_fails_whoever_reads_it() -> None:
    source = source_of(OneObject(pattern(9 * MIB), failure=ObjectMissing("gone"), url="file:///films"))
    source.plan(SOMEWHERE)
    for start, end in SOMEWHERE:
        with pytest.raises(PermanentError, match="gone"):
            source.read(start=start, end=end)


def test_of_a_file_closed_while_it_is_fetched_no_more_is_fetched() -> None:
    begun, closed = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert closed.wait(10)

    store = OneObject(pattern(9 * MIB), before=wait, url="file:///films")
    source = source_of(store)
    source.plan(SOMEWHERE)
    last = source._segments[0].body
    assert begun.wait(10)
    source.close()
    closed.set()
    assert last.result(10) == store.body[MIB : MIB + 10]
    assert store.asked == SOMEWHERE[:1]


def test_what_is_here_already_is_not_planned_again() -> None:
    store = OneObject(pattern(9 * MIB))
    source = source_of(store)
    source.read(start=0, end=1000)
    source.plan([(0, 500), (900, 2000)])
    assert source.read(start=900, end=2000) == store.body[900:2000]
    assert store.asked == [(0, 1000), (1000, 2000)]


def test_what_is_held_of_a_large_object_is_bounded_and_read_once() -> None:
    store = OneObject(pattern(AHEAD_BYTES + 14 * MIB))
    source = source_of(store)
    source.plan([(0, source.size_bytes)])
    for start in range(0, source.size_bytes, 300_000):
        end = min(start + 300_000, source.size_bytes)
        assert source.read(start=start, end=end) == store.body[start:end]
        assert source._held() <= AHEAD_BYTES
    assert source.fetched.bytes_read == source.size_bytes
    assert all(end - start <= MOST_AT_ONCE for start, end in store.asked)


def test_a_plan_without_end_is_cut() -> None:
    source = source_of(OneObject(pattern(3 * MIB)))
    source.plan((start, start + 1) for start in range(0, 10**9, 10**6))
    assert len(source._planned) <= LONGEST_PLAN


def test_a_closed_source_fetches_nothing_more() -> None:
    store = OneObject(pattern(60 * MIB))
    source = source_of(store)
    source.plan([(0, 60 * MIB)])
    source.close()
    assert len(store.asked) <= AHEAD_BYTES // MOST_AT_ONCE


@pytest.mark.parametrize(("said", "request_bytes"), [("in-region", 163_840), ("cross-region", 20_480), ("internet", 4096), ("5000", 5000)])
def test_costs_have_names_or_numbers(said: str, request_bytes: int) -> None:
    assert ReadCosts.of(said).request_bytes == request_bytes


@pytest.mark.parametrize("said", ["", "cheap", "-1", "1.5", "²"])
def test_other_costs_are_refused(said: str) -> None:
    with pytest.raises(ValueError, match="in-region"):
        ReadCosts.of(said)


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
