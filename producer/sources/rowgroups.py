"""Manifests in Parquet, row group by row group; pages are read as they are needed, and only those of the columns that count."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from producer.sources.ranged import RangedFile
from producer.sources.rows import COLUMNS, Rows, rows_of_columns, rows_of_lists

AT_ONCE = 1 << 16
BUFFER_BYTES = 4 << 20
DAMAGED = "it is no whole Parquet file"


def read_row_groups(source: str, *, after: int) -> Generator[Rows, None, int]:
    """Read the rows behind so many rows, skipping whole row groups unread; returns how many there are.

    Raises:
        ValueError: the file or a row of it is wrong.
        StoreError: the object cannot be read.
    """
    with _whole():
        body = pa.PythonFile(RangedFile(source), mode="r")
        file = pq.ParquetFile(body, buffer_size=BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True)
    names = _names(file.schema_arrow)
    before = 0
    for group in range(file.num_row_groups):
        rows: int = file.metadata.row_group(group).num_rows
        if before + rows > after:
            yield from _behind(_batches(file, group, names, before), after)
        before += rows
    return before


def _names(schema: pa.Schema) -> dict[str, str]:
    """Which columns are read, and what they are called here.

    Raises:
        ValueError: there is none with URIs, or one of them is not what it should be.
    """
    found = {column: next((name for name in names if name in schema.names), None) for column, names in COLUMNS.items()}
    if found["uri"] is None:
        raise ValueError(f"it has no column named uri, but {', '.join(schema.names) or 'none at all'}")
    names = {column: name for column, name in found.items() if name is not None}
    for column, name in names.items():
        if schema.names.count(name) > 1:
            raise ValueError(f"it has more than one column named {name}")
        if not _fits(schema.field(name).type, column):
            raise ValueError(f"its column {name} holds {schema.field(name).type}, which is no {column}")
    return names


def _fits(kind: pa.DataType, column: str) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind) or column == "size_bytes":
        return bool(pa.types.is_null(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind))
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary, pa.types.is_large_binary)
    return any(is_text(kind) for is_text in texts)


def _behind(batches: Iterator[Rows], after: int) -> Iterator[Rows]:
    for rows in batches:
        known = max(0, after - rows.before)
        if known < len(rows):
            yield rows.cut(known, len(rows) - known)


def _batches(file: pq.ParquetFile, group: int, names: dict[str, str], before: int) -> Iterator[Rows]:
    end = before + file.metadata.row_group(group).num_rows
    batches = file.iter_batches(AT_ONCE, row_groups=[group], columns=list(names.values()), use_threads=False)
    while (batch := _next(batches)) is not None:
        yield _rows(batch, names, before)
        before += len(batch)
    if before != end:
        raise ValueError(f"{DAMAGED} (a row group ends after row {before}, not {end})")


def _next(batches: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    with _whole():
        batch = next(batches, None)
        if batch is not None:
            batch.validate(full=True)
        return batch


@contextmanager
def _whole() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, OverflowError, ValueError) as error:
        raise ValueError(f"{DAMAGED} ({str(error).partition(chr(10))[0]})") from error


def _rows(batch: pa.RecordBatch, names: dict[str, str], before: int) -> Rows:
    def place(number: int) -> str:
        return f"row {before + number + 1}"

    none = pa.nulls(len(batch))
    columns = [batch.column(names[column]) if column in names else none for column in COLUMNS]
    uris, etags, sizes = columns
    if pa.types.is_floating(sizes.type):  # what pandas makes of integers where some are missing
        sizes = pc.if_else(pc.is_nan(sizes), pa.scalar(None, sizes.type), sizes)
    try:
        typed = uris.cast(pa.string()), etags.cast(pa.string()), sizes.cast(pa.int64())
    except (pa.ArrowException, OverflowError):
        return rows_of_lists(before, *_lists(columns), place=place)
    return rows_of_columns(before, *typed, place=place)


def _lists(columns: list[pa.Array]) -> tuple[list[Any], list[Any], list[Any]]:
    uris, etags, sizes = columns
    return uris.to_pylist(), etags.to_pylist(), sizes.to_pylist()
