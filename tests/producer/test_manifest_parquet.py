import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import film, new_store
from manifests import columns_of, known, source_of, videos, write_parquet

from schemas.errors import OperatorError
from schemas.video import VideoRef
from storage.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    return new_store()


@pytest.mark.parametrize("name", ["size_bytes", "size"])
def test_a_parquet_manifest_is_read_by_its_columns(store: MemoryStore, tmp_path: Path, name: str) -> None:
    video = film(store, "a.mp4")
    source = source_of(write_parquet(tmp_path, row=[1, 2], uri=["s3://nowhere/b.mp4", video.uri], etag=["e", None], **{name: [7, None]}))
    assert videos(source) == [VideoRef(uri="s3://nowhere/b.mp4", etag="e", size_bytes=7), video]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (pa.large_string(), pa.int32()),
        (pa.binary(), pa.uint64()),
        (pa.dictionary(pa.int32(), pa.string()), pa.float64()),
        (pa.string_view(), pa.int16()),
    ],
)
def test_parquet_columns_may_be_kept_in_many_ways(tmp_path: Path, text: pa.DataType, size: pa.DataType) -> None:
    texts = {name: pa.array(columns_of(range(3))[name], pa.string()).cast(text) for name in ("uri", "etag")}
    assert videos(source_of(write_parquet(tmp_path, **texts, size=pa.array([0, 1, 2], size)))) == [VideoRef(**known(n)) for n in range(3)]


def test_a_size_that_pandas_lost_is_looked_for(store: MemoryStore, tmp_path: Path) -> None:
    video = film(store, "a.mp4")
    assert videos(source_of(write_parquet(tmp_path, uri=[video.uri], etag=["old"], size=[float("nan")]))) == [video]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"url": ["x"]}, "no column named uri, but url"),
        ({"uri": [1]}, "column uri holds int64"),
        ({"uri": ["s3://b/a"], "size_bytes": ["1"]}, "column size_bytes holds string"),
        ({"uri": ["s3://b/a", None]}, "row 2: uri"),
        ({"uri": ["s3://b/a", ""]}, "row 2: uri"),
        ({"uri": ["s3://b/a", "http://b/a"]}, "row 2: .*of no known kind"),
        ({"uri": [b"s3://b/a", b"s3://\xff"]}, "row 2: uri"),
        ({"uri": ["s3://b/a"] * 3, "etag": ["e"] * 3, "size_bytes": [1, 2, -3]}, "row 3: size_bytes"),
        ({"uri": ["s3://b/a"] * 2, "etag": ["e"] * 2, "size_bytes": [1, 2.5]}, "row 2: size_bytes"),
        ({"uri": pa.array([], pa.string())}, "is empty"),
    ],
)
def test_a_parquet_manifest_that_is_wrong_says_where(tmp_path: Path, columns: dict[str, list[object]], says: str) -> None:
    with pytest.raises(OperatorError, match=rf"m\.parquet .*{says}"):
        videos(source_of(write_parquet(tmp_path, **columns)))


def test_a_wrong_row_of_a_later_row_group_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    name = write_parquet(tmp_path, row_group_size=10, uri=[f"s3://b/{n}" for n in range(34)] + ["b"[:0]])
    with pytest.raises(OperatorError, match="row 35: uri"):
        videos(source_of(name, include=("nothing",)), after="33")


def test_a_parquet_manifest_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"garbage")
    with pytest.raises(OperatorError, match=r"m\.parquet is not valid: it is no whole Parquet file"):
        source_of(str(tmp_path / "m.parquet")).check()


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_damaged_parquet_is_refused_or_reads_as_it_was(tmp_path: Path, compression: str) -> None:
    name, numbers = tmp_path / "m.parquet", range(600)
    pq.write_table(pa.table(columns_of(numbers)), name, row_group_size=200, compression=compression, write_page_checksum=True)
    whole, expected = name.read_bytes(), [VideoRef(**known(number)) for number in numbers]
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    chosen = random.Random(compression)  # noqa: S311 - the same damage each time
    refused = 0
    for place in [*chosen.sample(range(4, footer), 60), *range(len(whole) - 8, len(whole))]:
        name.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << chosen.randrange(8)]) + whole[place + 1 :])
        try:
            assert videos(source_of(str(name))) == expected
        except OperatorError as error:
            refused += "m.parquet is not valid" in str(error)
    assert refused > 50


def test_a_damaged_footer_ends_in_words_or_in_rows(tmp_path: Path) -> None:
    name = tmp_path / "m.parquet"
    pq.write_table(pa.table(columns_of(range(50))), name)
    whole, chosen = name.read_bytes(), random.Random(1)  # noqa: S311
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    outcomes = set()
    for place in chosen.sample(range(footer, len(whole) - 8), 150):
        name.write_bytes(whole[:place] + bytes([chosen.randrange(256)]) + whole[place + 1 :])
        try:
            outcomes.add(type(videos(source_of(str(name), all_files=True))))
        except OperatorError as error:
            outcomes.add(type(error))
    assert OperatorError in outcomes


@pytest.mark.parametrize("kept", [0, 3, 100, -100, -4])
def test_parquet_that_was_cut_off_is_refused(tmp_path: Path, kept: int) -> None:
    name = Path(write_parquet(tmp_path, **columns_of(range(100))))
    name.write_bytes(name.read_bytes()[:kept])
    with pytest.raises(OperatorError, match="no whole Parquet file"):
        source_of(str(name)).check()


def test_row_groups_before_the_cursor_are_not_read(tmp_path: Path) -> None:
    name = Path(write_parquet(tmp_path, row_group_size=10, **columns_of(range(30))))
    start = pq.ParquetFile(name).metadata.row_group(2).column(0).dictionary_page_offset
    name.write_bytes(b"PAR1" + bytes(start - 4) + name.read_bytes()[start:])
    assert videos(source_of(str(name)), after="20") == [VideoRef(**known(number)) for number in range(20, 30)]
    with pytest.raises(OperatorError, match="no whole Parquet file"):
        videos(source_of(str(name)), after="19")
