"""A listing by many threads is the listing of one, in its order, for few more requests."""

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.sources.spans import ALONE, FREE_GUESSES, PAGES_PER_GUESS, in_order
from schemas.errors import OperatorError
from storage import Page, StoreUnavailable
from storage.memory import MemoryStore

LETTERS = st.text(st.sampled_from("ab/0\u00e9\ud7ff\ue000\U0010ffff"), max_size=6)
ANY = st.text(st.characters(codec="utf-8"), max_size=6)
AHEAD = 40
KEYS = st.sets(st.tuples(st.sampled_from(["", "videos/2024/", "videos/2024", "\U0001f600"]), LETTERS | ANY).map("".join), max_size=150)


class Place:
    """A sorted list of keys that is listed page by page, each after a while, and remembers how."""

    url = "s3://place"

    def __init__(self, keys: Sequence[str], *, page: int = 10, seconds: float = 0.0, seed: int | None = None) -> None:
        self.keys = list(keys)
        self.requests = self.at_once = self.most_at_once = 0
        self.broken_from: str | None = None
        self._page, self._seconds = page, seconds
        self._random = None if seed is None else Random(seed)  # noqa: S311 - pauses
        self._lock = threading.Lock()

    def pages(self, prefix: str = "", *, start_after: str = "", most: int = 1000) -> Iterator[Page]:
        assert (prefix, most) == ("", 1000)
        for begin in range(bisect_right(self.keys, start_after), max(len(self.keys), 1), self._page):
            keys = self._answer(begin)
            if keys:
                yield page_of(keys)

    def _answer(self, begin: int) -> list[str]:
        with self._lock:
            self.requests += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self._random.choice([0, 0, 0.001, 0.003]) if self._random else self._seconds)
        with self._lock:
            self.at_once -= 1
        keys = self.keys[begin : begin + self._page]
        if self.broken_from is not None and keys and keys[-1] >= self.broken_from:
            raise StoreUnavailable(self.broken_from)
        return keys


def keys_of(pages: Iterable[Page]) -> list[str]:
    return [key for page in pages for key in page.keys]


def page_of(keys: Sequence[str]) -> Page:
    return Page(
        list(keys), [len(key) for key in keys], [f"etag of {key}" for key in keys], [key[:1] for key in keys], ["STANDARD"] * len(keys)
    )


def requests_allowed(place: Place, threads: int, page: int = 10) -> float:
    alone = len(place.keys) // page + 1
    return (alone + FREE_GUESSES * threads) * PAGES_PER_GUESS / (PAGES_PER_GUESS - 1)


@settings(max_examples=150, deadline=None)
@given(KEYS, st.integers(1, 9), st.integers(1, 40), st.integers(1, 8), st.integers(0, 2**32), ANY)
def test_every_key_is_shown_once_and_in_order(found: set[str], threads: int, ahead: int, page: int, seed: int, after: str) -> None:
    keys = sorted(found - {""})
    place = Place(keys, page=page, seed=seed)
    pages = list(in_order(place, after=after, threads=threads, ahead=ahead))
    wanted = [key for key in keys if key > after]
    assert keys_of(pages) == wanted
    assert [(page.sizes, page.etags, page.modified, page.classes) for page in pages] == [
        (alike.sizes, alike.etags, alike.modified, alike.classes) for alike in (page_of(page.keys) for page in pages)
    ]
    assert place.requests <= requests_allowed(place, threads, page) + 1
    assert no_thread_is_left()


def counters() -> list[str]:
    return [f"videos/{number:07d}.mp4" for number in range(6000)]


def hashes() -> list[str]:
    return sorted(f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}" for number in range(6000))


def days() -> list[str]:
    numbers = Random(1)  # noqa: S311 - names
    return sorted(
        {
            f"cam{numbers.randrange(4)}/2024/{numbers.randint(1, 12):02d}/{numbers.randint(1, 28):02d}/{numbers.getrandbits(32):08x}"
            for _ in range(6000)
        }
    )


def one_fat_folder_among_thin_ones() -> list[str]:
    thin = [f"{chr(letter)}{number}/only.mp4" for letter in range(97, 110) for number in range(20)]
    return sorted([*thin, *(f"k9/2024/{number:05d}" for number in range(6000))])


def other_letters() -> list[str]:
    numbers = Random(2)  # noqa: S311 - names
    return sorted({"".join(chr(numbers.randint(0x3041, 0x9FFF)) for _ in range(4)) for _ in range(6000)})


SHAPES = [counters, hashes, days, one_fat_folder_among_thin_ones, other_letters]


@pytest.mark.parametrize("shape", SHAPES)
def test_threads_list_at_the_same_time_for_few_more_requests(shape) -> None:
    place = Place(shape(), seconds=0.004)
    assert keys_of(in_order(place, threads=8)) == place.keys
    assert 4 <= place.most_at_once <= 8
    assert place.requests <= requests_allowed(place, 8)


@pytest.mark.parametrize("pages", range(ALONE))
def test_a_small_place_costs_its_pages_and_starts_no_thread(pages: int) -> None:
    place = Place([f"{number:03d}" for number in range(pages * 10)])
    before = threading.active_count()
    for _ in in_order(place):
        assert threading.active_count() == before
    assert place.requests == max(1, pages)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_what_is_held_ahead_is_bounded_and_all_is_shown_once_it_is_taken(threads: int) -> None:
    place = Place([f"{number:06d}" for number in range(60_000)], page=40)
    pages = in_order(place, threads=threads, ahead=AHEAD)
    keys = keys_of(islice(pages, ALONE + 1))
    wait_for(lambda: place.requests >= ALONE + AHEAD)
    time.sleep(0.1)
    shown_or_held = ALONE + 1 + AHEAD
    assert place.requests <= shown_or_held + FREE_GUESSES * threads + place.requests / PAGES_PER_GUESS
    assert keys + keys_of(pages) == place.keys


@pytest.mark.parametrize("ahead", [1, 2, 3])
def test_threads_go_on_however_little_may_be_held(ahead: int) -> None:
    for threads in (1, 2, 5):
        place = Place(days(), page=50, seed=threads)
        assert keys_of(in_order(place, threads=threads, ahead=ahead)) == place.keys
        assert place.most_at_once <= ahead


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_an_error_comes_after_all_the_pages_before_it(share: float) -> None:
    place = Place(counters(), seed=3)
    place.broken_from = place.keys[int(share * len(place.keys))]
    keys, pages = list[str](), in_order(place, threads=8)
    with pytest.raises(StoreUnavailable, match=place.broken_from):  # noqa: PT012 - what was shown before counts too
        for page in pages:
            keys += page.keys
    assert keys == place.keys[: len(keys)]
    assert place.keys.index(place.broken_from) - len(keys) < 20
    assert no_thread_is_left()


@pytest.mark.parametrize("taken", [0, 1, ALONE, ALONE + 1, 50])
def test_who_stops_early_leaves_no_thread_behind(taken: int) -> None:
    pages = in_order(Place(counters(), seconds=0.001), threads=8)
    for _ in islice(pages, taken):
        pass
    pages.close()  # type: ignore[attr-defined]
    assert no_thread_is_left()


@pytest.mark.parametrize("begin", [0, 10, 200])
def test_a_place_without_order_is_refused(begin: int) -> None:
    keys = [f"{number:04d}" for number in range(400)]
    keys[begin + 3], keys[begin + 4] = keys[begin + 4], keys[begin + 3]
    with pytest.raises(OperatorError, match="in no order"):
        list(in_order(Place(keys), threads=4))


def test_a_store_is_listed_as_it_lists_itself() -> None:
    store = MemoryStore("listed by threads", prefix="below")
    for number in range(5500):
        store.create(f"{number % 7}/{number}", b"")
    assert keys_of(in_order(store, threads=3)) == [meta.key for meta in store.list()]


def no_thread_is_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("list-")]


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)
