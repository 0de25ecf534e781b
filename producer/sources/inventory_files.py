"""The files of an inventory: fetched one ahead and verified, then read column by column.

What this holds: two files (the one that is read and the next), in the temporary folder but for those up to MEMORY_BYTES,
a piece of PIECE_BYTES, and of the file that is read one row group or stripe of the columns asked for.
"""

import gzip
import hashlib
import posixpath
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import IO

import pyarrow as pa
from pyarrow import csv, orc, parquet

from producer.sources.inventory_manifest import DataFile, InventoryManifest, told
from producer.sources.selection import MOMENT
from schemas.errors import OperatorError
from storage import ObjectMissing, shared_store, split_uri

MEMORY_BYTES = 1 << 20
PIECE_BYTES = 4 << 20
ROWS = 1 << 16
"""Most rows of a batch."""
CSV_BLOCK_BYTES = 8 << 20

TYPES = {
    "key": pa.string(),
    "is_latest": pa.bool_(),
    "is_delete_marker": pa.bool_(),
    "size": pa.int64(),
    "last_modified_date": MOMENT,
    "e_tag": pa.string(),
    "storage_class": pa.string(),
    "intelligent_tiering_access_tier": pa.string(),
}
"""Every column that is read where an inventory has it."""

Rows = Iterator[pa.RecordBatch]


def fetched(manifest_uri: str, files: Sequence[DataFile]) -> Generator[IO[bytes]]:
    """Fetch files one ahead of whoever reads and closes them.

    Raises:
        OperatorError: a file cannot be fetched, or is not what was delivered.
    """
    stop = threading.Event()
    waiting = deque[Future[IO[bytes]]]()
    with ThreadPoolExecutor(1, thread_name_prefix="inventory") as pool:
        try:
            for file in files:
                waiting.append(pool.submit(_fetch, manifest_uri, file, stop))
                if len(waiting) > 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stop.set()
            _drop(waiting)


def _drop(waiting: deque[Future[IO[bytes]]]) -> None:
    for future in waiting:
        if not future.cancel():
            with suppress(OperatorError):
                future.result().close()


def _fetch(manifest_uri: str, file: DataFile, stop: threading.Event) -> IO[bytes]:
    with ExitStack() as stack:
        body: IO[bytes] = stack.enter_context(tempfile.SpooledTemporaryFile(MEMORY_BYTES))
        with told(f"The inventory {manifest_uri}"), _room_for(file):
            md5 = _copy(_where(manifest_uri, file), file.size, body, stop)
        if md5 != file.md5.lower() and not stop.is_set():
            raise OperatorError(
                f"{file.key} of the inventory {manifest_uri} is damaged: its MD5 is {md5}, and not {file.md5}. "
                "Copy it again, or use another date's inventory."
            )
        body.seek(0)
        stack.pop_all()  # whoever reads it closes it
    return body


@contextmanager
def _room_for(file: DataFile) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"{file.key} of an inventory ({file.size} bytes) finds no room in {tempfile.gettempdir()} ({error.strerror}): "
            "make room, or set TMPDIR to a folder that has it."
        ) from error


def _copy(uri: str, size: int, into: IO[bytes], stop: threading.Event) -> str:
    """Copy an object piece by piece, unless it is wanted no more; returns its MD5."""
    url, key = split_uri(uri)
    md5 = hashlib.md5(usedforsecurity=False)
    for start in range(0, size, PIECE_BYTES):
        if stop.is_set():
            break
        piece = shared_store(url).get_range(key, start=start, end=start + PIECE_BYTES)
        md5.update(piece)
        into.write(piece)
    return md5.hexdigest()


def _where(manifest_uri: str, file: DataFile) -> str:
    """Keys are those of the manifest's bucket. Files were copied, so they are looked for in `data` beside the dated folder, or in that."""
    url, _ = split_uri(manifest_uri)
    if not url.startswith("file://"):
        return f"{url}/{file.key}"
    name, above = posixpath.basename(file.key), posixpath.dirname(url)
    try:
        shared_store(f"{above}/data").head(name)
    except ObjectMissing:
        return f"{url}/{name}"
    return f"{above}/data/{name}"


def rows_of(body: IO[bytes], manifest: InventoryManifest, *, columns: Sequence[str], after: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Read columns of a file from behind so many rows on; each batch comes with how many rows are before it.

    Raises:
        ValueError: it is not such a file.
    """
    read: dict[str, Callable[[IO[bytes]], tuple[int, Rows]]] = {
        "Parquet": lambda body: _parquet(body, columns, after),
        "ORC": lambda body: _orc(body, columns),
        "CSV": lambda body: _csv(body, manifest.columns, columns),
    }
    schema = pa.schema([(column, TYPES[column]) for column in columns])
    try:
        row, batches = read[manifest.file_format](body)
        for batch in batches:
            yield from _behind(batch, row, after=after, schema=schema)
            row += batch.num_rows
    except (pa.ArrowException, OSError, EOFError) as error:  # a broken file is any of these
        raise ValueError(str(error).partition("\n")[0]) from error


def _behind(batch: pa.RecordBatch, row: int, *, after: int, schema: pa.Schema) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Cut a batch into pieces without the rows that were read before."""
    for start in range(max(0, after - row), batch.num_rows, ROWS):
        piece = batch.slice(start, ROWS).cast(schema, safe=False)
        piece.validate(full=True)
        yield row + start, piece


def _parquet(body: IO[bytes], columns: Sequence[str], after: int) -> tuple[int, Rows]:
    """Row groups that are wholly before are not read."""
    file = parquet.ParquetFile(body)
    _check(columns, file.schema_arrow.names)
    groups, row = list(range(file.num_row_groups)), 0
    while groups and row + file.metadata.row_group(groups[0]).num_rows <= after:
        row += file.metadata.row_group(groups.pop(0)).num_rows
    return row, file.iter_batches(ROWS, row_groups=groups, columns=columns, use_threads=False) if groups else iter(())


def _orc(body: IO[bytes], columns: Sequence[str]) -> tuple[int, Rows]:
    file = orc.ORCFile(body)
    _check(columns, file.schema.names)
    return 0, (file.read_stripe(number, columns=list(columns)).select(columns) for number in range(file.nstripes))


def _csv(body: IO[bytes], names: Sequence[str], columns: Sequence[str]) -> tuple[int, Rows]:
    with gzip.GzipFile(fileobj=body, mode="rb") as look:
        if not look.read(1):  # which Arrow would not take for a table
            return 0, iter(())
    body.seek(0)
    return 0, csv.open_csv(
        pa.CompressedInputStream(pa.PythonFile(body, mode="r"), "gzip"),
        csv.ReadOptions(column_names=list(names), block_size=CSV_BLOCK_BYTES, use_threads=False),
        convert_options=csv.ConvertOptions(
            include_columns=list(columns),
            column_types=TYPES,
            null_values=[""],
            strings_can_be_null=True,
            true_values=["true"],
            false_values=["false"],
        ),
    )


def _check(columns: Sequence[str], names: Sequence[str]) -> None:
    """Arrow passes over columns that are not there."""
    if missing := ", ".join(sorted(set(columns) - set(names))):
        raise ValueError(f"it has no column {missing}")
