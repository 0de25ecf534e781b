import json
from pathlib import Path

import pytest
from builders import AT, film, new_store, overwrite
from manifests import known, rows, skipped, source_of, videos, write_lines, write_parquet

from producer.sources.looks import LOOKS_AHEAD
from schemas.errors import OperatorError
from schemas.video import UNKNOWN_ETAG, VideoRef
from storage.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return new_store()


def test_a_line_is_a_uri_that_is_looked_at(store: MemoryStore, tmp_path: Path) -> None:
    film_a, film_b = film(store, "a.mp4"), film(store, "b b.mkv")
    assert videos(source_of(write_lines(tmp_path, film_b.uri, "", "# a comment", f"  {film_a.uri}  "))) == [film_b, film_a]


def test_a_manifest_says_itself_what_is_a_video(store: MemoryStore, tmp_path: Path) -> None:
    odd = film(store, "odd.bin")
    assert videos(source_of(write_lines(tmp_path, odd.uri))) == [odd]


@pytest.mark.parametrize("name", ["size_bytes", "size"])
def test_a_row_with_etag_and_size_costs_no_look(tmp_path: Path, name: str) -> None:
    row = {"uri": "s3://nowhere/a.mp4", "etag": "e", name: 7, "more": 1}
    assert videos(source_of(write_lines(tmp_path, json.dumps(row), name="m.jsonl"))) == [
        VideoRef(uri="s3://nowhere/a.mp4", etag="e", size_bytes=7)
    ]


@pytest.mark.parametrize("row", [{"etag": "old"}, {"size_bytes": 3}, {"etag": "", "size_bytes": 3}, {"etag": None, "size_bytes": None}])
def test_a_row_that_does_not_say_both_is_looked_at(store: MemoryStore, tmp_path: Path, row: dict[str, object]) -> None:
    video = film(store, "a.mp4")
    assert videos(source_of(write_lines(tmp_path, json.dumps({"uri": video.uri} | row), name="m.ndjson"))) == [video]


def test_rows_that_say_both_and_rows_that_do_not_keep_their_order(store: MemoryStore, tmp_path: Path) -> None:
    video = film(store, "a.mp4")
    lines = [json.dumps(known(1)), video.uri, json.dumps(known(2)), f"{store.url}/gone.mp4"]
    gone = VideoRef(uri=f"{store.url}/gone.mp4", etag=UNKNOWN_ETAG, size_bytes=0)
    assert videos(source_of(write_lines(tmp_path, *lines))) == [VideoRef(**known(1)), video, VideoRef(**known(2)), gone]


def test_a_manifest_may_lie_in_a_store(store: MemoryStore, tmp_path: Path) -> None:
    video = film(store, "a.mp4")
    store.create("lists/all.txt", f"{video.uri}\n".encode())
    store.create("lists/all.parquet", Path(write_parquet(tmp_path, uri=[video.uri])).read_bytes())
    assert videos(source_of(f"{store.url}/lists/all.txt")) == [video]
    assert videos(source_of(f"{store.url}/lists/all.parquet")) == [video]


def test_a_manifest_in_s3_is_read_by_ranges_and_its_rows_are_looked_at_once(s3_server, s3_bucket: str, tmp_path: Path) -> None:
    client, bucket = s3_server.client(), s3_bucket.removeprefix("s3://")
    client.put_object(Bucket=bucket, Key="a.mp4", Body=b"abc")
    client.put_object(Bucket=bucket, Key="m.jsonl", Body=json.dumps({"uri": f"{s3_bucket}/a.mp4", "etag": "e", "size": 1}).encode())
    body = Path(write_parquet(tmp_path, uri=[f"{s3_bucket}/a.mp4", f"{s3_bucket}/no.mp4"])).read_bytes()
    client.put_object(Bucket=bucket, Key="m.parquet", Body=body)
    s3_server.forget()
    assert videos(source_of(f"{s3_bucket}/m.jsonl"))[0].etag == "e"
    assert s3_server.requests == [("HEAD", f"{s3_bucket}/m.jsonl"), ("GET", f"{s3_bucket}/m.jsonl")]
    assert [video.size_bytes for video in videos(source_of(f"{s3_bucket}/m.parquet"))] == [3, 0]
    assert s3_server.requests.count(("HEAD", f"{s3_bucket}/a.mp4")) == 1


def test_a_manifest_that_may_not_be_read_is_said_to_be_refused(s3_server, s3_bucket: str) -> None:
    s3_server.denied.add(f"{s3_bucket}/m.txt")
    with pytest.raises(OperatorError, match=r"m\.txt cannot be read"):
        source_of(f"{s3_bucket}/m.txt").check()


def test_a_manifest_that_changes_while_it_is_read_is_refused(store: MemoryStore) -> None:
    lines = [json.dumps(known(number)) for number in range(90_000)]
    store.create("m.jsonl", "\n".join(lines).encode())
    batches = source_of(f"{store.url}/m.jsonl").batches()
    next(batches)
    overwrite(store, "m.jsonl", "\n".join(lines[::-1]).encode())
    with pytest.raises(OperatorError, match="no longer the object"):
        list(batches)


def test_what_is_missing_is_planned_with_an_unknown_etag(store: MemoryStore, tmp_path: Path) -> None:
    uri = f"{store.url}/gone.mp4"
    assert videos(source_of(write_lines(tmp_path, uri))) == [VideoRef(uri=uri, etag=UNKNOWN_ETAG, size_bytes=0)]


def test_what_is_denied_is_planned_with_an_unknown_etag(s3_server, s3_bucket: str, tmp_path: Path) -> None:
    s3_server.denied.add(f"{s3_bucket}/secret.mp4")
    assert videos(source_of(write_lines(tmp_path, f"{s3_bucket}/secret.mp4")))[0].etag == UNKNOWN_ETAG


def test_no_bound_on_sizes_leaves_out_what_is_missing(store: MemoryStore, tmp_path: Path) -> None:
    [video] = videos(source_of(write_lines(tmp_path, f"{store.url}/gone.mp4"), min_size_bytes=10))
    assert video.etag == UNKNOWN_ETAG


def test_repeated_rows_are_for_the_reader_to_find(store: MemoryStore, tmp_path: Path) -> None:
    a, b = film(store, "a.mp4"), film(store, "b.mp4")
    source = source_of(write_lines(tmp_path, a.uri, b.uri, a.uri))
    assert not source.distinct
    assert videos(source) == [a, b, a]


def test_two_ways_of_writing_one_path_are_one_uri(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    shown = videos(source_of(write_lines(tmp_path, f"{tmp_path}/a.mp4", f"file://{tmp_path}/x/../a.mp4")))
    assert {video.uri for video in shown} == {f"file://{tmp_path}/a.mp4"}


def test_globs_and_sizes_choose_rows_and_are_counted(store: MemoryStore, tmp_path: Path) -> None:
    big, small, other = film(store, "big.mp4", b"x" * 100), film(store, "small.mp4", b"x"), film(store, "other.mkv", b"x" * 100)
    source = source_of(write_lines(tmp_path, big.uri, small.uri, other.uri), exclude=("*.mkv",), min_size_bytes=2)
    assert videos(source) == [big]
    assert skipped(source) == {"excluded": 1, "too small": 1}


def test_a_row_that_is_not_wanted_is_not_looked_at(tmp_path: Path) -> None:
    beyond = f"{tmp_path}/{'a' * 300}"  # the file system refuses so long a name, so a look would fail
    lines = [f"{beyond}.mkv", json.dumps({"uri": f"{beyond}.mp4", "size_bytes": 1})]
    assert [cause for _, cause, _ in rows(source_of(write_lines(tmp_path, *lines), exclude=("*.mkv",), min_size_bytes=2))] == [
        "excluded",
        "too small",
    ]


def test_a_long_manifest_keeps_its_order_from_any_row(store: MemoryStore, tmp_path: Path) -> None:
    films = [film(store, f"{n}.mp4") for n in range(LOOKS_AHEAD + 100)]
    name = write_lines(tmp_path, *(video.uri for video in films))
    assert videos(source_of(name)) == films
    assert [cursor for _, _, cursor in rows(source_of(name), after="40")][:2] == ["41", "42"]
    assert videos(source_of(name), after="40") == films[40:]


def test_a_manifest_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    for name in ("list.txt", "m.parquet", "m.jsonl.gz"):
        with pytest.raises(OperatorError, match="There is no manifest"):
            source_of(str(tmp_path / name)).check()


def test_an_empty_manifest_is_said_to_be_empty(tmp_path: Path) -> None:
    for name in ("list.txt", "list.txt.gz", "list.txt.zst"):
        with pytest.raises(OperatorError, match="is empty"):
            source_of(write_lines(tmp_path, "# nothing", name=name)).check()


def test_a_row_that_cannot_be_looked_at_now_stops_the_plan_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="run the same command again"):  # the file system refuses so long a name
        videos(source_of(write_lines(tmp_path, f"{tmp_path}/{'a' * 300}.mp4")))


@pytest.mark.parametrize("bound", ["modified_after", "modified_before"])
def test_dates_cannot_choose_rows(tmp_path: Path, bound: str) -> None:
    for name in ("-", write_lines(tmp_path, json.dumps(known(1)))):
        source = source_of(name, **{bound: AT})
        for ask in (source.check, lambda source=source: videos(source)):
            with pytest.raises(OperatorError, match="choose without dates"):
                ask()
