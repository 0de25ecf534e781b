import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import film, new_store
from s3_server import S3Server

from producer.sources import CAUSES, VIDEO_SUFFIXES, Batch, is_manifest, open_source
from producer.sources.listing import BATCH_ROWS, LOOK_PAGES, _grouped
from schemas.errors import OperatorError
from schemas.job import Selection
from storage import Page, open_store
from storage.memory import MemoryStore

ODD_NAMES = ("-.mp4", "A.MP4", "a b.mp4", "a%20b.mp4", "a.b.c.mkv", "q?x=1.ts", "z/deep/er.webm", "ünï.mov", "日本.mp4", "😀.mp4")


def batches(source: str, *, after: str = "", **selection) -> list[Batch]:
    return list(open_source(source, Selection(**selection)).batches(after=after))


def shown(source: str, *, after: str = "", **selection) -> list[str]:
    """Keys of the videos that a source shows."""
    found = batches(source, after=after, **selection)
    return [batch.cursor_at(row) for batch in found for row, cause in enumerate(batch.causes) if not cause]


def left_out(source: str, **selection) -> dict[str, str]:
    """Why objects are left out, by their keys."""
    found = batches(source, **selection)
    return {batch.cursor_at(row): CAUSES[cause] for batch in found for row, cause in enumerate(batch.causes) if cause}


@pytest.fixture
def store() -> MemoryStore:
    return new_store()


def put(store: MemoryStore, *names: str) -> str:
    for name in names:
        film(store, name)
    return store.url


@pytest.mark.parametrize("suffix", sorted(VIDEO_SUFFIXES))
def test_a_video_is_known_by_its_suffix_in_any_case_of_letters(store: MemoryStore, suffix: str) -> None:
    names = sorted([f"a{suffix}", f"b{suffix.upper()}", f"c{suffix.title()}"])
    assert shown(put(store, *names)) == names


def test_other_files_are_counted_and_left_out(store: MemoryStore) -> None:
    [batch] = batches(put(store, "a.mp4", "a.mp4.part", "notes.txt", "mp4", ".mp4"))
    assert shown(store.url) == ["a.mp4"]
    assert batch.skipped(5) == {"no video suffix": 4}
    assert batch.skipped(2) == {"no video suffix": 1}


def test_all_files_means_all_files(store: MemoryStore) -> None:
    assert shown(put(store, "a", "b.mp4", "c.txt"), all_files=True) == ["a", "b.mp4", "c.txt"]


def test_a_video_is_pinned_as_it_was_listed(store: MemoryStore) -> None:
    video = film(store, "a/b.mp4", b"12345")
    [batch] = batches(store.url)
    assert (batch.uris.to_pylist(), batch.etags.to_pylist(), batch.sizes.to_pylist()) == ([video.uri], [video.etag], [5])
    assert (video.uri, batch.cursor_at(0)) == (f"{store.url}/a/b.mp4", "a/b.mp4")


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        ({"include": ("cats/*",)}, ["cats/a.mp4", "cats/old/b.mp4"]),
        ({"include": ("a.*",)}, ["cats/a.mp4", "dogs/a.mkv"]),
        ({"include": ("*.mkv", "cats/old/*")}, ["cats/old/b.mp4", "dogs/a.mkv"]),
        ({"exclude": ("*/old/*",)}, ["cats/a.mp4", "dogs/a.mkv"]),
        ({"include": ("cats/*",), "exclude": ("b.mp4",)}, ["cats/a.mp4"]),
        ({"include": ("A.*",)}, []),
        ({"include": ("[ab].mp4",)}, ["cats/a.mp4", "cats/old/b.mp4"]),
    ],
)
def test_globs_choose_by_the_path_or_by_the_name(store: MemoryStore, selection: dict[str, tuple[str, ...]], taken: list[str]) -> None:
    assert shown(put(store, "cats/a.mp4", "cats/old/b.mp4", "dogs/a.mkv"), **selection) == taken


def test_sizes_choose_both_bounds_included(store: MemoryStore) -> None:
    for size in (0, 1, 5, 9, 10):
        film(store, f"{size}.mp4", b"x" * size or b"")
    store.create("empty.mp4", b"")
    assert shown(store.url, min_size_bytes=1, max_size_bytes=9) == ["0.mp4", "1.mp4", "5.mp4", "9.mp4"]
    assert left_out(store.url, min_size_bytes=1, max_size_bytes=9) == {"10.mp4": "too large", "empty.mp4": "too small"}


def test_a_folder_is_shown_in_the_order_of_its_keys_bytes(store: MemoryStore) -> None:
    names = sorted(ODD_NAMES, key=str.encode)
    assert shown(put(store, *reversed(names))) == names


def test_a_folder_on_disk_is_shown_as_memory_is(tmp_path: Path, store: MemoryStore) -> None:
    for name in ODD_NAMES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert shown(str(tmp_path)) == shown(put(store, *ODD_NAMES))


def test_a_folder_is_shown_by_its_uris(tmp_path: Path) -> None:
    for name in ODD_NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    [batch] = batches(str(tmp_path))
    assert batch.uris.to_pylist() == [f"file://{tmp_path}/{name}" for name in sorted(ODD_NAMES)]
    assert batch.etags.to_pylist() == [meta.etag for meta in open_store(str(tmp_path)).list()]


def test_the_dates_of_files_choose(tmp_path: Path) -> None:
    for name, year in (("a.mp4", 2024), ("b.mp4", 2025), ("c.mp4", 2026)):
        (tmp_path / name).write_text(name)
        moment = datetime(year, 6, 1, tzinfo=UTC).timestamp()
        os.utime(tmp_path / name, (moment, moment))
    bounds = {"modified_after": datetime(2025, 1, 1, tzinfo=UTC), "modified_before": datetime(2026, 1, 1, tzinfo=UTC)}
    assert shown(str(tmp_path), **bounds) == ["b.mp4"]
    assert left_out(str(tmp_path), **bounds) == {"a.mp4": "too old", "c.mp4": "too new"}


def test_a_store_that_knows_no_dates_leaves_nothing_out_by_them(store: MemoryStore) -> None:
    assert shown(put(store, "a.mp4"), modified_after=datetime(2025, 1, 1, tzinfo=UTC)) == ["a.mp4"]


def test_archived_objects_are_told_and_not_tried(s3_server: S3Server, s3_bucket: str) -> None:
    classes = ["STANDARD", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR", "INTELLIGENT_TIERING"]
    for name in classes:
        s3_server.client().put_object(Bucket=s3_bucket.removeprefix("s3://"), Key=f"in/{name}.mp4", Body=b"x", StorageClass=name)
    assert left_out(f"{s3_bucket}/in") == {"DEEP_ARCHIVE.mp4": "archived", "GLACIER.mp4": "archived"}
    assert shown(f"{s3_bucket}/in") == ["GLACIER_IR.mp4", "INTELLIGENT_TIERING.mp4", "STANDARD.mp4"]


def test_a_prefix_of_many_pages_is_shown_in_the_order_of_its_keys(
    s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "5")
    keys = [f"in/{number % 9}/a b+{number:03d}.mp4" for number in range(60)]
    for key in keys:
        s3_server.client().put_object(Bucket=s3_bucket.removeprefix("s3://"), Key=key, Body=b"x")
    found = batches(f"{s3_bucket}/in")
    assert [uri for batch in found for uri in batch.uris.to_pylist()] == [f"{s3_bucket}/{key}" for key in sorted(keys)]
    cursor = found[1].cursor_at(3)
    assert shown(f"{s3_bucket}/in", after=cursor) == [key.removeprefix("in/") for key in sorted(keys) if key > f"in/{cursor}"]


def test_work_begins_with_the_first_page_and_batches_grow() -> None:
    page = Page(["k"] * 1000, [0] * 1000, [""] * 1000, [""] * 1000, [""] * 1000)
    sizes = [len(group) for group in _grouped([page] * 500)]
    assert sizes[:4] == [1, 4, 16, 64]
    assert max(sizes) * 1000 < BATCH_ROWS + 1000
    assert sum(sizes) == 500


def test_who_stops_early_leaves_no_thread(s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    for number in range(40):
        s3_server.client().put_object(Bucket=s3_bucket.removeprefix("s3://"), Key=f"{number:02d}.mp4", Body=b"x")
    found = iter(open_source(s3_bucket, Selection()).batches())
    assert next(found).uris.to_pylist() == [f"{s3_bucket}/00.mp4", f"{s3_bucket}/01.mp4"]
    assert len(next(found).uris) == 8
    found.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("list-")]


@pytest.mark.parametrize("number", range(len(ODD_NAMES)))
def test_a_listing_goes_on_behind_any_key(tmp_path: Path, number: int) -> None:
    names = sorted(ODD_NAMES, key=str.encode)
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert shown(str(tmp_path), after=names[number]) == names[number + 1 :]


def test_a_single_video_is_a_source(store: MemoryStore) -> None:
    put(store, "a.mp4", "a.mp4x", "b.mp4")
    assert shown(f"{store.url}/a.mp4") == ["a.mp4"]
    assert shown(f"{store.url}/a.mp4", after="a.mp4") == []


def test_a_folder_whose_name_has_a_suffix_is_listed(tmp_path: Path) -> None:
    (tmp_path / "clips.mp4").mkdir()
    (tmp_path / "clips.mp4" / "a.mp4").write_bytes(b"a")
    assert shown(str(tmp_path / "clips.mp4")) == ["a.mp4"]


def test_a_bucket_whose_name_has_a_dot_is_listed() -> None:
    store = MemoryStore("clips.example.org")
    assert shown(put(store, "a.mp4")) == ["a.mp4"]


@pytest.mark.usefixtures("s3_bucket")
def test_an_s3_bucket_whose_name_has_a_dot_is_listed(s3_server) -> None:
    s3_server.create_bucket("clips.example.org")
    s3_server.client().put_object(Bucket="clips.example.org", Key="a.mp4", Body=b"x")
    assert shown("s3://clips.example.org") == ["a.mp4"]


def test_a_source_with_a_video_passes_its_check(store: MemoryStore) -> None:
    open_source(put(store, "a.txt", "b.mp4"), Selection()).check()


def test_a_source_with_nothing_in_it_says_so(store: MemoryStore) -> None:
    with pytest.raises(OperatorError, match="nothing is there"):
        open_source(store.url, Selection()).check()


def test_a_source_that_is_all_left_out_says_why(store: MemoryStore) -> None:
    put(store, "a.mp4", "b.txt", "c.txt")
    with pytest.raises(OperatorError, match=r"1 excluded, 2 no video suffix.*--all-files"):
        open_source(store.url, Selection(exclude=("a*",))).check()


def test_a_look_goes_no_further_than_some_pages(store: MemoryStore) -> None:
    for number in range(1000 * LOOK_PAGES):
        store.create(f"{number:05d}.txt", b"")
    with pytest.raises(OperatorError, match=f"{1000 * LOOK_PAGES} no video suffix"):
        open_source(store.url, Selection()).check()
    store.create("more.txt", b"")
    open_source(store.url, Selection()).check()


def test_a_look_at_a_prefix_is_one_request(s3_server: S3Server, s3_bucket: str) -> None:
    s3_server.client().put_object(Bucket=s3_bucket.removeprefix("s3://"), Key="a.mp4", Body=b"x")
    s3_server.requests.clear()
    open_source(s3_bucket, Selection()).check()
    assert s3_server.requests == [("GET", s3_bucket)]


def test_a_source_that_cannot_be_listed_says_what_to_do(s3_server: S3Server, s3_bucket: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"There is no source.*name a folder"):
        open_source(f"{s3_bucket}-not/in", Selection()).check()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OperatorError, match="is no folder, and by its name neither"):
        list(open_source(str(tmp_path / "file"), Selection()).batches())
    s3_server.denied.add(s3_bucket)
    with pytest.raises(OperatorError, match="grant s3:ListBucket"):
        list(open_source(s3_bucket, Selection()).batches())
    s3_server.denied.clear()
    s3_server.fail[s3_bucket] = 99
    with pytest.raises(OperatorError, match="run the same command again"):
        open_source(s3_bucket, Selection()).check()


@pytest.mark.parametrize("name", ["list.txt", "LIST.TXT", "a.lst", "a.jsonl", "a.ndjson", "s3://b/a.parquet", "-"])
def test_a_manifest_is_known_by_its_suffix(name: str) -> None:
    assert is_manifest(name)


@pytest.mark.parametrize("name", ["clips", "s3://b/clips", "a.mp4", "s3://b.txt.d", "a.json"])
def test_what_is_no_manifest_is_listed(name: str) -> None:
    assert not is_manifest(name)


@pytest.mark.parametrize("source", ["http://host/a", "ftp://x", "file://relative"])
def test_a_source_of_no_known_kind_is_refused(source: str) -> None:
    with pytest.raises(OperatorError, match="write"):
        open_source(source, Selection()).check()
