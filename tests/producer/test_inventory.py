"""What an inventory shows, in every format."""

import dataclasses
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from builders import new_store
from inventories import FORMATS, ODD_KEYS, STAMP, TIERED, USUAL, VERSIONED, WRITTEN, Delivery, Row, causes, open_inventory, seen, written

from producer.sources import open_source
from producer.sources.inventory_files import ROWS
from schemas.errors import OperatorError
from schemas.job import Selection
from schemas.video import UNKNOWN_ETAG
from storage import open_store


@pytest.fixture(params=FORMATS)
def delivery(request: pytest.FixtureRequest) -> Delivery:
    """Where inventories of each format go."""
    return Delivery(new_store(), file_format=request.param)


@pytest.fixture
def parquet() -> Delivery:
    return Delivery(new_store())


def columns(delivery: Delivery, *fields: str) -> Delivery:
    return dataclasses.replace(delivery, fields=fields)


def test_every_legal_key_is_shown_as_it_is(delivery: Delivery) -> None:
    delivery.deliver([Row(key, size=number) for number, key in enumerate(ODD_KEYS)])
    shown = list(seen(open_source(delivery.source, Selection(all_files=True))))
    assert [(uri, size, cause) for uri, _, size, cause, _ in shown] == [(f"s3://films/{key}", at, "") for at, key in enumerate(ODD_KEYS)]


def test_rows_come_in_the_order_of_the_files(delivery: Delivery) -> None:
    files = [[Row(f"{name}{number}.mp4") for number in range(4)] for name in "zab"]
    delivery.deliver(*files)
    assert list(causes(open_inventory(delivery.source))) == [row.key for rows in files for row in rows]


def test_a_file_without_rows_is_passed_over(delivery: Delivery) -> None:
    delivery.deliver([], [Row("a.mp4")], [])
    assert causes(open_inventory(delivery.source)) == {"a.mp4": ""}


def test_a_prefix_with_a_folder_marker_and_other_files_shows_only_videos(delivery: Delivery) -> None:
    delivery.deliver([Row("cats/", size=0), Row("cats/a.MP4"), Row("cats/a.txt")])
    assert causes(open_inventory(delivery.source)) == {"cats/": "no video suffix", "cats/a.MP4": "", "cats/a.txt": "no video suffix"}
    assert causes(open_inventory(delivery.source, all_files=True)) == {"cats/": "no video suffix", "cats/a.MP4": "", "cats/a.txt": ""}


def test_etags_have_the_quotes_that_listings_have(delivery: Delivery) -> None:
    delivery.deliver([Row("a.mp4", e_tag="abc-2"), Row("b.mp4", e_tag='"def"')])
    assert [etag for _, etag, *_ in seen(open_inventory(delivery.source))] == ['"abc-2"', '"def"']


def test_what_an_inventory_does_not_say_is_held_against_no_row(delivery: Delivery) -> None:
    delivery.deliver([Row("a.mp4", size=None, e_tag=None, last_modified_date=None, storage_class=None)])
    source = open_inventory(delivery.source, min_size_bytes=5, max_size_bytes=9, modified_after=WRITTEN, modified_before=WRITTEN)
    assert [row[:4] for row in seen(source)] == [("s3://films/a.mp4", UNKNOWN_ETAG, 0, "")]


def test_only_the_latest_version_counts(delivery: Delivery) -> None:
    columns(delivery, *VERSIONED).deliver(
        [
            Row("a.mp4"),
            Row("a.mp4", is_latest=False),
            Row("b.mp4", size=None, e_tag=None, is_delete_marker=True),
            Row("b.mp4", is_latest=False),
            Row("c.mp4", is_latest=False, is_delete_marker=True),
            Row("c.txt", is_latest=False),
        ]
    )
    said = [cause for _, _, _, cause, _ in seen(open_inventory(delivery.source))]
    assert said == ["", *["not the latest version", "delete marker"], *["not the latest version"] * 3]


def test_archived_objects_are_told_by_class_and_by_tier(delivery: Delivery) -> None:
    tier = {"storage_class": "INTELLIGENT_TIERING"}
    columns(delivery, *TIERED).deliver(
        [
            Row("1.mp4"),
            Row("2.mp4", storage_class="GLACIER"),
            Row("3.mp4", storage_class="DEEP_ARCHIVE", intelligent_tiering_access_tier="FREQUENT"),
            Row("4.mp4", storage_class="GLACIER_IR"),
            Row("5.mp4", **tier, intelligent_tiering_access_tier="ARCHIVE_ACCESS"),
            Row("6.mp4", **tier, intelligent_tiering_access_tier="DEEP_ARCHIVE_ACCESS"),
            Row("7.mp4", **tier, intelligent_tiering_access_tier="ARCHIVE_INSTANT_ACCESS"),
            Row("8.mp4", **tier, intelligent_tiering_access_tier="FREQUENT"),
            Row("9.mp4", **tier),
        ]
    )
    assert {key for key, cause in causes(open_inventory(delivery.source)).items() if cause == "archived"} == {
        *("2.mp4", "3.mp4", "5.mp4", "6.mp4")
    }


def test_dates_sizes_and_globs_choose(delivery: Delivery) -> None:
    day = timedelta(days=1)
    delivery.deliver(
        [
            Row("cats/1.mp4"),
            Row("cats/2.mp4", size=1),
            Row("cats/3.mp4", size=5000),
            Row("cats/4.mp4", last_modified_date=WRITTEN - day),
            Row("cats/5.mp4", last_modified_date=WRITTEN + day),
            Row("cats/no.mp4"),
            Row("dogs/1.mp4"),
        ]
    )
    source = open_inventory(
        delivery.source,
        include=("cats/*",),
        exclude=("no.*",),
        min_size_bytes=2,
        max_size_bytes=4999,
        modified_after=WRITTEN,
        modified_before=datetime(2026, 11, 2, tzinfo=UTC),
    )
    assert list(causes(source).values()) == ["", "too small", "too large", "too old", "too new", "excluded", "not included"]


def test_reading_goes_on_behind_every_row(delivery: Delivery) -> None:
    delivery.deliver(*[[Row(f"{file}-{row}.mp4", size=row) for row in range(rows)] for file, rows in enumerate((7, 0, 1, 4))])
    whole = list(seen(open_inventory(delivery.source)))
    assert len(whole) == 12
    for number, (*_, cursor) in enumerate(whole, start=1):
        assert list(seen(open_inventory(delivery.source), after=cursor)) == whole[number:]


def test_long_files_come_in_batches_that_end_and_go_on_anywhere(delivery: Delivery) -> None:
    count = 2 * ROWS + 10
    delivery.deliver([Row(f"{number}.mp4", size=number) for number in range(count)])
    batches = list(open_inventory(delivery.source).batches())
    assert sum(len(batch.uris) for batch in batches) == count
    assert max(len(batch.uris) for batch in batches) <= ROWS
    rest = list(open_inventory(delivery.source).batches(after=batches[1].cursor_at(20)))
    assert rest[0].sizes[0].as_py() == len(batches[0].uris) + 21
    assert sum(len(batch.uris) for batch in rest) == count - len(batches[0].uris) - 21


def test_files_that_are_read_already_are_not_fetched_again(delivery: Delivery) -> None:
    delivery.deliver([Row("a.mp4")], [Row("b.mp4"), Row("c.mp4")])
    cursor = list(seen(open_inventory(delivery.source)))[1][-1]
    delivery.bucket.replace(f"{delivery.folder}/data/{STAMP}-0.{delivery.file_format.lower()}", b"gone bad")
    assert [uri for uri, *_ in seen(open_inventory(delivery.source), after=cursor)] == ["s3://films/c.mp4"]


def test_the_inventory_a_plan_was_begun_with_is_read_to_its_end(parquet: Delivery) -> None:
    parquet.deliver([Row("a.mp4"), Row("b.mp4")])
    cursor = next(seen(open_inventory(parquet.source)))[-1]
    parquet.deliver([Row("new.mp4")], stamp="2026-11-21T01-00Z")
    assert list(causes(open_inventory(parquet.source))) == ["new.mp4"]
    assert [uri for uri, *_ in seen(open_inventory(parquet.source), after=cursor)] == ["s3://films/b.mp4"]


def test_an_inventory_that_is_gone_or_changed_is_not_replaced_by_another(tmp_path: Path) -> None:
    delivery = Delivery(open_store(str(tmp_path)))
    manifest = Path(delivery.deliver([Row("a.mp4")]).removeprefix("file://"))
    cursor = next(seen(open_inventory(delivery.source)))[-1]
    delivery.deliver([Row("b.mp4")], stamp="2026-11-21T01-00Z")
    delivery.deliver([Row("c.mp4")])
    with pytest.raises(OperatorError, match="is gone or has changed since the plan was begun with it; put it back"):
        list(open_inventory(delivery.source).batches(after=cursor))
    manifest.unlink()
    with pytest.raises(OperatorError, match="is gone or has changed since the plan was begun with it; put it back"):
        list(open_inventory(delivery.source).batches(after=cursor))


def test_a_reader_that_stops_early_leaves_nothing_behind(parquet: Delivery) -> None:
    parquet.deliver(*[[Row("a.mp4")]] * 3)
    batches = open_inventory(parquet.source).batches()
    next(batches)
    batches.close()


def test_check_reads_no_row(delivery: Delivery) -> None:
    delivery.deliver_bodies(b"not even a table")
    open_inventory(delivery.source).check()


def test_an_inventory_without_files_is_refused(delivery: Delivery) -> None:
    delivery.deliver()
    with pytest.raises(OperatorError, match="lists no objects"):
        open_inventory(delivery.source).check()


@pytest.mark.parametrize("lacking", ["size", "e_tag", "last_modified_date"])
def test_an_inventory_that_lacks_a_field_says_which(delivery: Delivery, lacking: str) -> None:
    columns(delivery, *(field for field in USUAL if field != lacking)).deliver([Row("a.mp4")])
    named = {"size": "Size", "e_tag": "ETag", "last_modified_date": "LastModifiedDate"}[lacking]
    with pytest.raises(OperatorError, match=f"lacks {named}: add what is missing"):
        open_inventory(delivery.source, modified_after=WRITTEN).check()
    if lacking == "last_modified_date":
        assert causes(open_inventory(delivery.source)) == {"a.mp4": ""}


def damaged(delivery: Delivery, *, key: str, change: Callable[[bytes], bytes]) -> None:
    path = f"{delivery.folder}/{key}"
    delivery.bucket.replace(path, change(delivery.bucket.get(path)))


@pytest.mark.parametrize("change", [lambda body: body[:-1], lambda body: body + b"x", lambda body: body[:9] + b"~" + body[10:]])
def test_a_damaged_file_shows_nothing_and_says_which_it_is(delivery: Delivery, change: Callable[[bytes], bytes]) -> None:
    delivery.deliver([Row("a.mp4")], [Row("b.mp4")])
    name = f"{STAMP}-1.{delivery.file_format.lower()}"
    damaged(delivery, key=f"data/{name}", change=change)
    batches = open_inventory(delivery.source).batches()
    assert next(batches).uris.to_pylist() == ["s3://films/a.mp4"]
    with pytest.raises(OperatorError, match=f"{name} of the inventory .* is damaged: its MD5 is"):
        next(batches)


def test_a_damaged_manifest_is_refused(parquet: Delivery) -> None:
    parquet.deliver([Row("a.mp4")])
    damaged(parquet, key=f"{STAMP}/manifest.json", change=lambda body: body.replace(b"films", b"tapes"))
    with pytest.raises(OperatorError, match=r"is damaged: manifest\.checksum does not fit it"):
        open_inventory(parquet.source).check()


@pytest.mark.parametrize("said", [{"fileFormat": "Avro"}, {"files": [{"key": "a", "size": 1}]}, {"sourceBucket": ""}, {"files": None}])
def test_a_manifest_of_something_else_is_refused(parquet: Delivery, said: dict[str, object]) -> None:
    parquet.seal({"sourceBucket": "films", "files": []} | said)
    with pytest.raises(OperatorError, match=r"is no manifest of an S3 Inventory \((fileFormat|files|sourceBucket)"):
        open_inventory(parquet.source).check()


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    delivery = Delivery(open_store(str(tmp_path)))
    delivery.deliver([Row("a.mp4")])
    next((tmp_path / delivery.folder / "data").iterdir()).unlink()
    with pytest.raises(OperatorError, match=f"is not whole; .*{STAMP}-0.parquet"):
        list(open_inventory(delivery.source).batches())


@pytest.mark.parametrize("body", [b"", b"PAR1PAR1", b"ORC", b"\x1f\x8b\x08\x00", b"bucket,a.mp4,1,2,3,4\n" * 50])
def test_a_file_that_is_none_of_its_format_is_refused(delivery: Delivery, body: bytes) -> None:
    delivery.deliver_bodies(body)
    if delivery.file_format == "CSV" and not body:
        return  # an empty file holds no row in CSV
    with pytest.raises(OperatorError, match=f"is no {delivery.file_format} as the manifest has it"):
        list(open_inventory(delivery.source).batches())


def test_a_file_cut_short_before_its_checksum_was_made_is_refused(delivery: Delivery) -> None:
    body = written([Row(f"{number}.mp4") for number in range(5000)], delivery.file_format)
    delivery.deliver_bodies(body[: len(body) * 2 // 3])
    with pytest.raises(OperatorError, match=f"is no {delivery.file_format} as the manifest has it"):
        list(open_inventory(delivery.source).batches())


def test_a_file_without_a_column_that_the_manifest_promises_is_refused(delivery: Delivery) -> None:
    delivery.deliver_bodies(written([Row("a.mp4")], delivery.file_format, [field for field in USUAL if field != "e_tag"]))
    with pytest.raises(OperatorError, match=f"is no {delivery.file_format} as the manifest has it"):
        list(open_inventory(delivery.source).batches())


def test_a_row_without_a_key_is_refused(delivery: Delivery) -> None:
    if delivery.file_format == "CSV":
        delivery.deliver([Row("")])
    else:
        delivery.deliver_bodies(written([Row(None)], delivery.file_format))  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match="a row has no key"):
        list(open_inventory(delivery.source).batches())


def test_a_hundred_thousand_keys_are_a_matter_of_a_moment(parquet: Delivery) -> None:
    rows = [Row(f"videos/2026/11/camera-{number % 997:04d}/{number:016x}.mp4") for number in range(50_000)]
    parquet.deliver(rows, rows)
    source = open_inventory(parquet.source)
    started = time.process_time()
    assert sum(len(batch.uris) for batch in source.batches()) == 100_000
    assert time.process_time() - started < 1.0  # measured: 0.06 s
