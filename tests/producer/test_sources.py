from pathlib import Path

import pytest
from builders import film, new_store

from producer.sources import VIDEO_SUFFIXES, is_manifest, open_source
from schemas.errors import OperatorError
from schemas.job import Selection
from storage.memory import MemoryStore

ODD_NAMES = ("-.mp4", "A.MP4", "a b.mp4", "a%20b.mp4", "a.b.c.mkv", "q?x=1.ts", "z/deep/er.webm", "ünï.mov", "日本.mp4", "😀.mp4")


def shown(source: str, *, after: str = "", **selection) -> list[str]:
    """Paths of the videos that a source shows."""
    return [sighting.path for sighting in open_source(source, Selection(**selection)).sightings(after=after)]


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
    source = open_source(put(store, "a.mp4", "a.mp4.part", "notes.txt", "mp4", ".mp4"), Selection())
    assert [sighting.path for sighting in source.sightings()] == ["a.mp4"]
    assert source.skipped == {"no video suffix": 4}


def test_all_files_means_all_files(store: MemoryStore) -> None:
    assert shown(put(store, "a", "b.mp4", "c.txt"), all_files=True) == ["a", "b.mp4", "c.txt"]


def test_a_video_is_pinned_as_it_was_listed(store: MemoryStore) -> None:
    video = film(store, "a/b.mp4", b"12345")
    [sighting] = open_source(store.url, Selection()).sightings()
    assert sighting.video == video
    assert (video.uri, video.size_bytes, sighting.cursor) == (f"{store.url}/a/b.mp4", 5, "a/b.mp4")


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
    source = open_source(store.url, Selection(min_size_bytes=1, max_size_bytes=9))
    assert {sighting.video.size_bytes for sighting in source.sightings()} <= set(range(1, 10))
    assert source.skipped["too small"] == 1
    assert source.skipped["too large"] == 1


def test_a_folder_is_shown_in_the_order_of_its_keys_bytes(store: MemoryStore) -> None:
    names = sorted(ODD_NAMES, key=str.encode)
    assert shown(put(store, *reversed(names))) == names


def test_a_folder_on_disk_is_shown_as_memory_is(tmp_path: Path, store: MemoryStore) -> None:
    for name in ODD_NAMES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert shown(str(tmp_path)) == shown(put(store, *ODD_NAMES))


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
