"""Objects of a folder or an S3 prefix, in the order of their keys; or one single video."""

import posixpath
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from producer.sources import MANIFEST_SUFFIXES, Batch
from producer.sources.selection import causes_of
from producer.sources.spans import THREADS, in_order
from schemas.errors import OperatorError
from schemas.job import Selection
from storage import ObjectDenied, ObjectMissing, Page, Store, StoreUnavailable, open_store, split_uri
from storage.even import Even

BATCH_ROWS = 65_536
GROWTH = 4
"""How many times as many rows a batch has as the one before: work begins with the first page."""
LOOK_PAGES = 8
"""How many pages without a video a look is worth."""


class Listing:
    """A place that is listed, an S3 prefix by many threads. Its cursor is the last key.

    Of storage classes that must be restored before they are read, a listing shows GLACIER and DEEP_ARCHIVE. The archive tiers of
    INTELLIGENT_TIERING cannot be seen in one: they are found out by reading, or by an inventory.
    """

    distinct = True

    def __init__(self, source: str, selection: Selection) -> None:
        """List this folder or prefix."""
        self._source = source
        self._selection = selection

    def check(self) -> None:
        """Look for a video in the first pages; where they have none and more follow, nobody knows."""
        skipped: Counter[str] = Counter()
        with self._errors():
            store, pages = _open(self._source)
            for page in islice(pages, LOOK_PAGES):
                batch = self._batch(store, [page])
                skipped += batch.skipped(len(batch.causes))
                if not batch.causes.all():
                    return
            if next(pages, None):
                return
        raise OperatorError(f"{self._source} has no videos: {_in_words(skipped)}.")

    def batches(self, *, after: str = "") -> Iterator[Batch]:
        """Show the objects behind a key."""
        with self._errors():
            store, pages = _open(self._source, after=after, threads=THREADS)
            with closing(pages):
                for group in _grouped(pages):
                    yield self._batch(store, group)

    def _batch(self, store: Store, pages: Sequence[Page]) -> Batch:
        paths = pa.array(chain.from_iterable(page.keys for page in pages), pa.string())
        sizes = pa.array(chain.from_iterable(page.sizes for page in pages), pa.int64())
        causes = causes_of(
            paths=paths,
            sizes=sizes,
            modified=self._modified(pages),
            classes=pa.array(chain.from_iterable(page.classes for page in pages), pa.string()),
            selection=self._selection,
            by_suffix=not self._selection.all_files,
        )
        return Batch(
            uris=pc.binary_join_element_wise(f"{store.url}/", paths, ""),
            etags=_strings([page.etags for page in pages]),
            sizes=sizes,
            causes=causes,
            cursor_at=lambda row: str(paths[row]),
        )

    def _modified(self, pages: Sequence[Page]) -> pa.TimestampArray | None:
        """When objects were changed, if it matters."""
        if not (self._selection.modified_after or self._selection.modified_before):
            return None
        moments = _strings([page.modified for page in pages])
        try:
            return pc.if_else(pc.equal(moments, ""), None, moments).cast(pa.timestamp("ms", tz="UTC"))
        except pa.ArrowInvalid as error:
            raise OperatorError(
                f"{self._source} shows a date of change that cannot be read ({error}): choose without dates, or use a manifest."
            ) from error

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say what to do where the place cannot be listed."""
        try:
            yield
        except ObjectMissing as error:
            raise OperatorError(f"There is no source {self._source}: name a folder, an s3:// prefix or a manifest.") from error
        except ObjectDenied as error:
            raise OperatorError(
                f"{self._source} may not be listed with these credentials: grant s3:ListBucket, or use a manifest."
            ) from error
        except StoreUnavailable as error:
            raise OperatorError(f"{self._source} cannot be listed now ({error}); run the same command again to go on from here.") from error


def _strings(columns: Sequence[Sequence[str]]) -> pa.StringArray:
    """Put columns together; those of one length are put together as they lie there."""
    even = [column for column in columns if isinstance(column, Even)]
    if len(even) < len(columns) or len({column.width for column in even}) != 1:
        return pa.array(chain.from_iterable(columns), pa.string())
    text = "".join(column.text for column in even).encode()
    places = np.arange(0, len(text) + 1, even[0].width, dtype=np.int32)
    return pa.StringArray.from_buffers(len(places) - 1, pa.py_buffer(places), pa.py_buffer(text))


def _in_words(skipped: Counter[str]) -> str:
    if not skipped:
        return "nothing is there"
    left_out = ", ".join(f"{count} {cause}" for cause, count in sorted(skipped.items()))
    return f"everything in it is left out: {left_out} (see --all-files, --include and --exclude)"


def _open(source: str, *, after: str = "", threads: int = 1) -> tuple[Store, Generator[Page, None, None]]:
    """Tell a place to list from a single video, which is listed as itself."""
    url, key = split_uri(source)
    if posixpath.splitext(key)[1]:
        store = open_store(url)
        try:
            meta = store.head(key)
        except ObjectMissing:
            pass
        else:
            page = Page([meta.key], [meta.size_bytes], [meta.etag], [""], [""])
            return store, _all([] if after else [page])
    store = open_store(source)
    if store.url.startswith("file://") and not Path(store.url.removeprefix("file://")).is_dir():  # such as a share that is not mounted now
        if Path(store.url.removeprefix("file://")).is_file():
            suffixes = ", ".join(MANIFEST_SUFFIXES)
            message = f"{source} is no folder, and by its name neither a video nor a manifest: those end in {suffixes}."
            raise OperatorError(message)
        message = f"{store.url} is no folder."
        raise ObjectMissing(message)
    side_by_side = threads > 1 and store.url.startswith("s3://")
    return store, _all(in_order(store, after=after, threads=threads) if side_by_side else store.pages(start_after=after))


def _all(pages: Iterable[Page]) -> Generator[Page, None, None]:
    """Show pages in a way that can be closed."""
    yield from pages


def _grouped(pages: Iterable[Page]) -> Iterator[list[Page]]:
    """Put pages together, more and more of them."""
    group, rows, enough = list[Page](), 0, 1
    for page in pages:
        group.append(page)
        rows += len(page.keys)
        if rows >= enough:
            yield group
            group, rows, enough = [], 0, min(rows * GROWTH, BATCH_ROWS)
    if group:
        yield group
