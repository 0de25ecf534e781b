"""What every store promises, asked of each."""

import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage import ObjectChanged, ObjectMissing, Page, Store, open_store, split_uri
from storage.local import LocalStore

ODD_KEYS = (
    *("a b", " sp ", "a%20b", "d%2Fe", "h#h", "q?q=1", "pl+us", "quote\"'", "amp&<>", "x^y`{}|[]~*:", "back\\slash", "..a/..."),
    *("ünï/ö.mp4", "日本/😀.mp4", "e\u0301", "nbsp\u00a0\u0085", "-"),
)


@pytest.fixture(params=["local", "memory below", "s3", "s3 below"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    kind, _, below = request.param.partition(" ")
    match kind:
        case "local":
            root = f"file://{tmp_path}/store"
        case "memory":
            root = f"memory://{uuid.uuid4().hex}"
        case _:
            root = request.getfixturevalue("s3_bucket")
    return f"{root}/{below}/it" if below else root


@pytest.fixture
def store(url: str) -> Store:
    return open_store(url)


def keys(store: Store, prefix: str = "", *, start_after: str = "") -> list[str]:
    return [meta.key for meta in store.list(prefix, start_after=start_after)]


def test_a_store_knows_its_address(store: Store, url: str) -> None:
    assert store.url == url
    assert open_store(url + "/").url == url


def test_what_was_created_is_read_back(store: Store) -> None:
    assert store.create("captions/ab/x.jsonl", b"lines\n")
    assert store.get("captions/ab/x.jsonl") == b"lines\n"
    meta = store.head("captions/ab/x.jsonl")
    assert (meta.key, meta.size_bytes) == ("captions/ab/x.jsonl", 6)
    assert list(store.list()) == [meta]


def test_an_empty_object_is_an_object(store: Store) -> None:
    assert store.create("empty", b"")
    assert store.get("empty") == b""
    assert store.head("empty").size_bytes == 0
    assert store.get_range("empty", start=0, end=10) == b""
    assert not store.create("empty", b"late")


def test_an_object_is_created_once(store: Store) -> None:
    assert store.create("once", b"first")
    assert not store.create("once", b"other")
    assert store.get("once") == b"first"


def test_ones_own_bytes_count_as_created(store: Store) -> None:
    assert store.create("mine", b"same")
    assert store.create("mine", b"same")


def test_one_of_many_racing_writers_wins(store: Store) -> None:
    bodies = [f"writer {n}".encode() * 1000 for n in range(16)]
    start, won = threading.Barrier(16), []

    def write(body: bytes) -> None:
        start.wait()
        if store.create("race", body):
            won.append(body)

    threads = [threading.Thread(target=write, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [store.get("race")]
    assert keys(store) == ["race"]


def test_what_is_replaced_is_read_back_with_a_new_etag(store: Store) -> None:
    store.replace("control.json", b"paused")
    before = store.head("control.json")
    assert store.get("control.json") == b"paused"
    store.replace("control.json", b"running again")
    assert store.get("control.json") == b"running again"
    after = store.head("control.json")
    assert (after.size_bytes, keys(store)) == (13, ["control.json"])
    with pytest.raises(ObjectChanged):
        store.get_range("control.json", start=0, end=3, etag=before.etag)


def test_a_created_object_may_be_replaced_and_a_replaced_one_is_not_created(store: Store) -> None:
    assert store.create("a", b"first")
    store.replace("a", b"")
    assert store.get("a") == b""
    assert not store.create("a", b"first")
    store.replace("a", b"third")
    assert store.create("a", b"third")


def test_a_reader_sees_the_old_bytes_or_the_new(store: Store) -> None:
    bodies = {f"{n}".encode() * 50_000 for n in range(8)}
    store.replace("rewritten", b"0" * 50_000)
    done = threading.Event()

    def write() -> None:
        for _ in range(5):
            for body in sorted(bodies):
                store.replace("rewritten", body)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not done.is_set():
        seen.append(store.get("rewritten"))
    writer.join()
    assert set(seen) <= bodies
    assert store.get("rewritten") == b"7" * 50_000


def test_a_range_is_clamped_to_the_object(store: Store) -> None:
    store.create("ten", b"0123456789")
    assert store.get_range("ten", start=0, end=3) == b"012"
    assert store.get_range("ten", start=8, end=99) == b"89"
    assert store.get_range("ten", start=10, end=20) == b""
    assert store.get_range("ten", start=99, end=100) == b""
    assert store.get_range("ten", start=4, end=4) == b""


@pytest.mark.parametrize(("start", "end"), [(0, 4), (2, 2), (99, 100)])
def test_a_changed_object_is_refused(store: Store, start: int, end: int) -> None:
    store.create("pinned", b"bytes")
    etag = store.head("pinned").etag
    assert store.get_range("pinned", start=start, end=end, etag=etag) == b"bytes"[start:end]
    with pytest.raises(ObjectChanged, match="/pinned"):
        store.get_range("pinned", start=start, end=end, etag='"0"')


def test_a_missing_object_is_missing(store: Store) -> None:
    for read in (store.head, store.get, lambda key: store.get_range(key, start=0, end=1), lambda key: store.get_range(key, start=1, end=1)):
        with pytest.raises(ObjectMissing, match=f"{store.url}/no/such"):
            read("no/such")


def test_an_empty_store_lists_nothing(store: Store) -> None:
    assert keys(store) == []
    assert keys(store, "captions/") == []


def test_keys_come_in_the_order_of_their_bytes(store: Store) -> None:
    wanted = ["a!", "a/b.c", "a/b/c", "a0", "aa/b", "b", "\u00e9", "\uffee", "\U0001f600"]
    for key in reversed(wanted):
        store.create(key, b"x")
    assert keys(store) == sorted(wanted, key=str.encode)


def test_a_prefix_is_a_prefix_of_strings(store: Store) -> None:
    for key in ("captions/ab/1", "captions/ab/2", "captions/abc", "captions/b/1", "captionsx", "dead/ab/1"):
        store.create(key, b"x")
    assert keys(store, "captions/a") == ["captions/ab/1", "captions/ab/2", "captions/abc"]
    assert keys(store, "captions/ab/") == ["captions/ab/1", "captions/ab/2"]
    assert keys(store, "captions/abc") == ["captions/abc"]
    assert keys(store, "caption") == ["captions/ab/1", "captions/ab/2", "captions/abc", "captions/b/1", "captionsx"]
    assert keys(store, "nothing/") == []


def test_a_listing_starts_after_any_string(store: Store) -> None:
    everything = ["a-b", "a/1", "a/2/x", "a/3", "a0", "b/1"]
    for key in everything:
        store.create(key, b"x")
    for cursor in [*everything, "a", "a/", "a/2", "a/2/", "a/2/xx", "a.", "zz", "0"]:
        assert keys(store, start_after=cursor) == [key for key in everything if key > cursor], cursor
        assert keys(store, "a/", start_after=cursor) == [key for key in everything if key > cursor and key.startswith("a/")], cursor


def test_a_listing_is_lazy(store: Store) -> None:
    store.create("b", b"x")
    listing = store.list()
    store.create("a", b"x")
    assert next(listing).key == "a"


PAGED_KEYS = (*ODD_KEYS, "plain", "deep/er/still.mp4", "deep/er", "deep/er0", "\uffee", "\U0001f600")


def rows(page: Page) -> list[tuple[object, ...]]:
    return list(zip(page.keys, page.sizes, page.etags, page.modified, page.classes, strict=True))


@pytest.fixture
def paged(store: Store) -> Store:
    for key in PAGED_KEYS:
        if not (key == "deep/er" and isinstance(store, LocalStore)):  # a folder has that name there
            store.create(key, key.encode())
    return store


@pytest.mark.parametrize("most", [1, 2, 7, 1000, 5000])
def test_pages_show_what_a_listing_shows_with_no_page_empty_or_too_long(paged: Store, most: int) -> None:
    metas = list(paged.list())
    pages = list(paged.pages(most=most))
    assert [row[:3] for page in pages for row in rows(page)] == [(meta.key, meta.size_bytes, meta.etag) for meta in metas]
    assert [len(page.keys) for page in pages[:-1]] == [most] * (len(pages) - 1)
    assert 1 <= len(pages[-1].keys) <= most


def test_pages_follow_a_prefix_and_start_after_any_string(paged: Store) -> None:
    everything = keys(paged)
    assert everything == sorted(everything)
    for prefix in ("", "deep/", "a", "nothing"):
        for cursor in (*everything[::5], "", "deep", "deep/er/", "q", "\U0010ffff"):
            found = [key for page in paged.pages(prefix, start_after=cursor, most=7) for key in page.keys]
            assert found == [key for key in everything if key.startswith(prefix) and key > cursor], (prefix, cursor)


def test_a_page_is_read_when_its_turn_comes(store: Store) -> None:
    for key in ("a/1", "b/1", "c/1"):
        store.create(key, b"x")
    pages = store.pages(most=1)
    store.create("a/0", b"x")
    assert [next(pages).keys, next(pages).keys] == [["a/0"], ["a/1"]]


def test_an_empty_store_has_no_pages(store: Store) -> None:
    assert list(store.pages()) == []


def test_a_page_tells_when_and_how_an_object_is_stored_or_nothing(paged: Store) -> None:
    for page in paged.pages():
        for moment, storage_class in zip(page.modified, page.classes, strict=True):
            assert not moment or datetime.now(UTC) - timedelta(hours=1) < datetime.fromisoformat(moment) < datetime.now(UTC) + timedelta(
                hours=1
            )
            assert storage_class in {"", "STANDARD"}


def test_odd_keys_are_plain_keys(store: Store) -> None:
    for key in ODD_KEYS:
        assert store.create(key, key.encode())
    assert keys(store) == sorted(ODD_KEYS)
    for meta in store.list():
        assert store.head(meta.key) == meta
        assert store.get(meta.key) == meta.key.encode()
        assert store.get_range(meta.key, start=0, end=3, etag=meta.etag) == meta.key.encode()[:3]
        assert keys(store, meta.key) == [key for key in sorted(ODD_KEYS) if key.startswith(meta.key)]


def test_every_listed_object_is_found_by_its_uri(store: Store) -> None:
    for key in (*ODD_KEYS, "plain", "deep/er/still.mp4"):
        store.create(key, b"x")
    for meta in store.list():
        url, key = split_uri(f"{store.url}/{meta.key}")
        found = open_store(url).head(key)
        assert (found.size_bytes, found.etag) == (meta.size_bytes, meta.etag)
