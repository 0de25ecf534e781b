"""Videos named by a file: one URI a line, JSONL with `uri` (and `etag` with `size_bytes`), or Parquet with those columns."""

import hashlib
import json
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from typing import Annotated

from arro3.core import RecordBatch
from arro3.io import read_parquet
from pydantic import Field, ValidationError

from producer.sources import Sighting
from producer.sources.selection import unwanted
from schemas.errors import OperatorError
from schemas.job import Selection
from schemas.model import Model
from schemas.video import UNKNOWN_ETAG, VideoRef
from storage import ObjectDenied, ObjectMissing, StoreError, shared_store, split_uri

LOOKS_AT_ONCE = 32
PARQUET_MAGIC = b"PAR1"


class Entry(Model):
    """A row of a manifest. With both etag and size it costs no look at the object."""

    uri: Annotated[str, Field(min_length=1)]
    etag: str | None = None
    size_bytes: int | None = None


class Manifest:
    """A list of videos. Its cursor is the number of rows read."""

    def __init__(self, source: str, selection: Selection) -> None:
        """Read this manifest; `-` is standard input."""
        self._source = source
        self._selection = selection
        self.skipped: Counter[str] = Counter()

    def check(self) -> None:
        """Look for the first entry; standard input can be read only once, so it is not looked at."""
        if self._source != "-" and next(self._entries(), None) is None:
            raise OperatorError(f"The manifest {self._source} is empty.")

    def sightings(self, *, after: str = "") -> Iterator[Sighting]:
        """Show the videos behind a row. Repeated URIs are shown once, so the rows before are read again but not looked at."""
        with ThreadPoolExecutor(LOOKS_AT_ONCE, thread_name_prefix="head") as pool:
            for number, found in self._looked_at(pool, self._rows(after=int(after or 0))):
                cause = found if isinstance(found, str) else self._unwanted(found)
                if cause:
                    self.skipped[cause] += 1
                elif not isinstance(found, str):
                    yield Sighting(str(number), found.uri, found)

    def _unwanted(self, video: VideoRef) -> str:
        return "" if video.etag == UNKNOWN_ETAG else unwanted(video.uri, video.size_bytes, self._selection)

    def _rows(self, *, after: int) -> Iterator[tuple[int, Entry | str]]:
        """The rows behind a row, numbered from 1: an entry, or the cause why it is left out."""
        seen: set[bytes] = set()
        number = 0
        for number, entry in enumerate(self._entries(), start=1):
            name = hashlib.blake2b(entry.uri.encode(), digest_size=8).digest()
            cause = "repeated" if name in seen else unwanted(entry.uri, entry.size_bytes, self._selection)
            seen.add(name)
            if number > after:
                yield number, cause or entry
        if number < max(after, 1):  # a pipe whose command failed must not pass for a source that is exhausted
            rows = f"has {number} rows where {after} were read before; give it whole" if number else "is empty"
            shown = "on standard input" if self._source == "-" else self._source
            raise OperatorError(f"The manifest {shown} {rows}.")

    def _looked_at(self, pool: ThreadPoolExecutor, rows: Iterator[tuple[int, Entry | str]]) -> Iterator[tuple[int, VideoRef | str]]:
        try:
            yield from _ahead(pool, rows)
        except StoreError as error:
            raise OperatorError(f"A video cannot be looked at now ({error}); run the same command again to go on from here.") from error

    def _entries(self) -> Iterator[Entry]:
        try:
            yield from (_absolute(entry) for entry in _read(self._source))
        except ObjectMissing as error:
            raise OperatorError(f"There is no manifest {self._source}.") from error
        except StoreError as error:
            raise OperatorError(f"The manifest {self._source} cannot be read: {error}") from error
        except (ValidationError, ValueError) as error:
            raise OperatorError(f"The manifest {self._source} is not valid: {error}") from error


def _absolute(entry: Entry) -> Entry:
    url, key = split_uri(entry.uri)
    return entry.model_copy(update={"uri": f"{url}/{key}"})


def _read(source: str) -> Iterator[Entry]:
    if source == "-":
        yield from _lines(sys.stdin.buffer)
        return
    url, key = split_uri(source)
    body = shared_store(url).get(key)
    if source.lower().endswith(".parquet"):
        yield from _parquet(body)
    else:
        yield from _lines(body.splitlines())


def _lines(lines: Iterable[bytes]) -> Iterator[Entry]:
    for line in lines:
        text = line.decode().strip()
        if text.startswith("{"):
            row = json.loads(text)
            yield Entry(uri=row.get("uri", ""), etag=row.get("etag"), size_bytes=row.get("size_bytes"))
        elif text and not text.startswith("#"):
            yield Entry(uri=text)


def _parquet(body: bytes) -> Iterator[Entry]:
    if not (body.startswith(PARQUET_MAGIC) and body.endswith(PARQUET_MAGIC)):  # the reader would panic
        raise ValueError("it is no Parquet file")
    for batch in _batches(body):
        names = [name for name in ("uri", "etag", "size_bytes") if name in batch.schema.names]
        if "uri" not in names:
            raise ValueError("it has no column named uri")
        columns = [batch.column(name).to_pylist() for name in names]
        yield from (Entry.model_validate(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True))


def _batches(body: bytes) -> Iterator[RecordBatch]:
    try:
        yield from read_parquet(BytesIO(body))
    except Exception as error:  # the reader raises this very class
        raise ValueError(str(error)) from error


def _ahead(pool: ThreadPoolExecutor, rows: Iterator[tuple[int, Entry | str]]) -> Iterator[tuple[int, VideoRef | str]]:
    """Look at objects ahead of the consumer, a bounded number at once, in the manifest's order."""
    waiting: deque[tuple[int, Future[VideoRef | str]]] = deque()
    for number, row in rows:
        waiting.append((number, pool.submit(_look, row)))
        if len(waiting) >= LOOKS_AT_ONCE:
            yield waiting[0][0], waiting.popleft()[1].result()
    for number, future in waiting:
        yield number, future.result()


def _look(entry: Entry | str) -> VideoRef | str:
    """Pin an entry to what lies there now. What is missing or denied is planned all the same, and dies with a reason."""
    if isinstance(entry, str):
        return entry
    if entry.etag and entry.size_bytes is not None:
        return VideoRef(uri=entry.uri, etag=entry.etag, size_bytes=entry.size_bytes)
    url, key = split_uri(entry.uri)
    try:
        meta = shared_store(url).head(key)
    except (ObjectMissing, ObjectDenied):
        return VideoRef(uri=entry.uri, etag=UNKNOWN_ETAG, size_bytes=0)
    return VideoRef(uri=entry.uri, etag=meta.etag, size_bytes=meta.size_bytes)
