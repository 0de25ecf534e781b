"""Videos named by a file: one URI a line, JSONL with `uri` (and `etag` with `size_bytes`), or Parquet with those columns."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from producer.sources import Batch
from producer.sources.lines import read_lines
from producer.sources.looks import LOOKS_AHEAD, Looks
from producer.sources.rowgroups import read_row_groups
from producer.sources.rows import Rows
from producer.sources.selection import causes_of
from schemas.errors import OperatorError
from schemas.job import Selection
from schemas.video import UNKNOWN_ETAG
from storage import ObjectMissing, StoreError


class Manifest:
    """A list of videos, read as a stream. Its cursor is the number of rows read, which are counted but not looked at again."""

    distinct = False

    def __init__(self, source: str, selection: Selection) -> None:
        """Read this manifest; `-` is standard input."""
        self._source = source
        self._shown = f"The manifest {'on standard input' if source == '-' else source}"
        self._selection = selection

    def check(self) -> None:
        """Look for the first row; standard input can be read only once, so it is not looked at."""
        self._check_selection()
        if self._source != "-":
            next(self._rows(after=0))

    def batches(self, *, after: str = "") -> Iterator[Batch]:
        """Show the rows behind a row. What has no etag or no size is looked at, unless it is not wanted anyway."""
        self._check_selection()
        with Looks() as looks:
            for rows in self._rows(after=int(after or 0)):
                if not self._blind(rows, self._causes(rows)).any():
                    yield self._batch(rows)
                    continue
                for first in range(0, len(rows), LOOKS_AHEAD):
                    few = rows.cut(first, LOOKS_AHEAD)
                    yield self._batch(looks.pinned(few, self._blind(few, self._causes(few))))

    def _rows(self, *, after: int) -> Iterator[Rows]:
        with self._told():
            read = read_row_groups if self._source.lower().endswith(".parquet") else read_lines
            number = yield from read(self._source, after=after)
        if number < max(after, 1):  # a pipe whose command failed must not pass for a source that is exhausted
            rows = f"has {number} rows where {after} were read before; give it whole" if number else "is empty"
            raise OperatorError(f"{self._shown} {rows}.")

    def _check_selection(self) -> None:
        if self._selection.modified_after or self._selection.modified_before:
            raise OperatorError(
                f"{self._shown} says of no object when it was changed: choose without dates, or list the objects themselves."
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except ObjectMissing as error:
            raise OperatorError(f"There is no manifest {self._source}.") from error
        except StoreError as error:
            raise OperatorError(f"{self._shown} cannot be read: {error}") from error
        except ValueError as error:
            raise OperatorError(f"{self._shown} is not valid: {error}") from error

    def _causes(self, rows: Rows) -> NDArray[np.uint8]:
        return causes_of(paths=rows.uris, sizes=rows.sizes, modified=None, classes=None, selection=self._selection, by_suffix=False)

    def _blind(self, rows: Rows, causes: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which rows do not say what the object is, though it is wanted as far as they say."""
        silent: NDArray[np.bool_] = pc.or_(pc.is_null(rows.etags), pc.is_null(rows.sizes)).to_numpy(zero_copy_only=False)
        blind: NDArray[np.bool_] = silent & (causes == 0)
        return blind

    def _batch(self, rows: Rows) -> Batch:
        return Batch(
            uris=rows.uris,
            etags=rows.etags.fill_null(UNKNOWN_ETAG),
            sizes=rows.sizes.fill_null(0),
            causes=self._causes(rows),
            cursor_at=lambda row: str(rows.before + row + 1),
        )
