import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import arro3.core
import pytest
from arro3.io import write_parquet
from builders import film, new_store

from producer.sources import Source, open_source
from producer.sources.manifest import LOOKS_AT_ONCE
from schemas.errors import OperatorError
from schemas.job import Selection
from schemas.video import UNKNOWN_ETAG, VideoRef
from storage.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return new_store()


@pytest.fixture
def manifest(tmp_path: Path):
    """Write a manifest; returns its name."""

    def write(*lines: str, name: str = "list.txt") -> str:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return str(path)

    return write


def source_of(name: str, **selection) -> Source:
    return open_source(name, Selection(**selection))


def videos(source: Source, *, after: str = "") -> list[VideoRef]:
    return [sighting.video for sighting in source.sightings(after=after)]


def test_a_line_is_a_uri_that_is_looked_at(store: MemoryStore, manifest) -> None:
    film_a, film_b = film(store, "a.mp4"), film(store, "b b.mkv")
    assert videos(source_of(manifest(film_b.uri, "", "# a comment", f"  {film_a.uri}  "))) == [film_b, film_a]


def test_a_manifest_says_itself_what_is_a_video(store: MemoryStore, manifest) -> None:
    odd = film(store, "odd.bin")
    assert videos(source_of(manifest(odd.uri))) == [odd]


def test_a_row_with_etag_and_size_costs_no_look(manifest) -> None:
    row = {"uri": "s3://nowhere/a.mp4", "etag": "e", "size_bytes": 7}
    assert videos(source_of(manifest(json.dumps(row | {"more": 1}), name="m.jsonl"))) == [VideoRef(**row)]


def test_a_row_with_only_an_etag_is_looked_at(store: MemoryStore, manifest) -> None:
    video = film(store, "a.mp4")
    assert videos(source_of(manifest(json.dumps({"uri": video.uri, "etag": "old"}), name="m.ndjson"))) == [video]


def test_a_parquet_manifest_is_read_by_its_columns(tmp_path: Path, store: MemoryStore) -> None:
    video = film(store, "a.mp4")
    name = str(tmp_path / "m.parquet")
    columns = {
        "row": arro3.core.Array([1, 2], arro3.core.DataType.int64()),
        "uri": arro3.core.Array(["s3://nowhere/b.mp4", video.uri], arro3.core.DataType.utf8()),
        "etag": arro3.core.Array(["e", None], arro3.core.DataType.utf8()),
        "size_bytes": arro3.core.Array([7, None], arro3.core.DataType.int64()),
    }
    write_parquet(arro3.core.Table.from_pydict(columns), name)
    assert videos(source_of(name)) == [VideoRef(uri="s3://nowhere/b.mp4", etag="e", size_bytes=7), video]


def test_a_parquet_manifest_without_uris_is_refused(tmp_path: Path) -> None:
    name = str(tmp_path / "m.parquet")
    write_parquet(arro3.core.Table.from_pydict({"url": arro3.core.Array(["x"], arro3.core.DataType.utf8())}), name)
    with pytest.raises(OperatorError, match="no column named uri"):
        source_of(name).check()


def test_a_parquet_manifest_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"garbage")
    with pytest.raises(OperatorError, match=r"m\.parquet"):
        source_of(str(tmp_path / "m.parquet")).check()


def test_a_manifest_may_lie_in_a_store(store: MemoryStore) -> None:
    video = film(store, "a.mp4")
    store.create("lists/all.txt", f"{video.uri}\n".encode())
    assert videos(source_of(f"{store.url}/lists/all.txt")) == [video]


def test_standard_input_is_a_manifest(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    video = film(store, "a.mp4")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(f"{video.uri}\n".encode())))
    assert videos(source_of("-")) == [video]


def test_what_is_missing_is_planned_with_an_unknown_etag(store: MemoryStore, manifest) -> None:
    uri = f"{store.url}/gone.mp4"
    assert videos(source_of(manifest(uri))) == [VideoRef(uri=uri, etag=UNKNOWN_ETAG, size_bytes=0)]


def test_no_bound_on_sizes_leaves_out_what_is_missing(store: MemoryStore, manifest) -> None:
    [video] = videos(source_of(manifest(f"{store.url}/gone.mp4"), min_size_bytes=10))
    assert video.etag == UNKNOWN_ETAG


def test_a_repeated_uri_is_shown_once(store: MemoryStore, manifest) -> None:
    a, b = film(store, "a.mp4"), film(store, "b.mp4")
    source = source_of(manifest(a.uri, b.uri, a.uri, a.uri))
    assert videos(source) == [a, b]
    assert source.skipped == {"repeated": 2}


def test_a_repeated_uri_is_shown_once_over_a_resume(store: MemoryStore, manifest) -> None:
    a, b = film(store, "a.mp4"), film(store, "b.mp4")
    assert videos(source_of(manifest(a.uri, b.uri, a.uri)), after="1") == [b]


def test_two_ways_of_writing_one_path_are_one_video(tmp_path: Path, manifest) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    assert len(videos(source_of(manifest(f"{tmp_path}/a.mp4", f"file://{tmp_path}/x/../a.mp4")))) == 1


def test_globs_and_sizes_choose_rows_and_are_counted(store: MemoryStore, manifest) -> None:
    big, small, other = film(store, "big.mp4", b"x" * 100), film(store, "small.mp4", b"x"), film(store, "other.mkv", b"x" * 100)
    source = source_of(manifest(big.uri, small.uri, other.uri), exclude=("*.mkv",), min_size_bytes=2)
    assert videos(source) == [big]
    assert source.skipped == {"excluded": 1, "too small": 1}


def test_a_long_manifest_keeps_its_order_from_any_row(store: MemoryStore, manifest) -> None:
    films = [film(store, f"{n}.mp4") for n in range(3 * LOOKS_AT_ONCE)]
    name = manifest(*(video.uri for video in films))
    assert videos(source_of(name)) == films
    assert [sighting.cursor for sighting in source_of(name).sightings(after="40")][:2] == ["41", "42"]
    assert videos(source_of(name), after="40") == films[40:]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"uri": "s3://b/a"', "not valid"),
        ('{"url": "s3://b/a"}', "uri"),
        ('{"uri": 5}', "uri"),
        ('{"uri": "s3://b/a", "size_bytes": "big"}', "size_bytes"),
        ("https://host/a.mp4", "of no known kind"),
    ],
)
def test_a_row_that_is_none_is_refused(manifest, line: str, says: str) -> None:
    with pytest.raises(OperatorError, match=says):
        videos(source_of(manifest(line)))


def test_a_manifest_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OperatorError, match="not valid"):
        source_of(str(tmp_path / "list.txt")).check()


def test_a_manifest_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="There is no manifest"):
        source_of(str(tmp_path / "list.txt")).check()


def test_an_empty_manifest_is_said_to_be_empty(manifest) -> None:
    with pytest.raises(OperatorError, match="is empty"):
        source_of(manifest("# nothing")).check()


def test_a_row_that_cannot_be_looked_at_now_stops_the_plan_with_what_to_do(tmp_path: Path, manifest) -> None:
    with pytest.raises(OperatorError):  # the file system refuses so long a name
        videos(source_of(manifest(f"{tmp_path}/{'a' * 300}.mp4")))
