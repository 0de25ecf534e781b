"""Looking at objects of which a manifest does not say what they are, a bounded number at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from producer.sources.rows import Rows
from schemas.errors import OperatorError
from schemas.video import UNKNOWN_ETAG
from storage import ObjectDenied, ObjectMeta, ObjectMissing, StoreError, shared_store, split_uri

LOOKS_AT_ONCE = 32
LOOKS_AHEAD = 32 * LOOKS_AT_ONCE
"""Rows that are looked at before the first of them is shown."""


class Looks:
    """Threads that look."""

    def __enter__(self) -> Self:
        """Start none yet."""
        self._pool = ThreadPoolExecutor(LOOKS_AT_ONCE, thread_name_prefix="head")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Drop what was not looked at yet."""
        self._pool.shutdown(cancel_futures=True)

    def pinned(self, rows: Rows, blind: NDArray[np.bool_]) -> Rows:
        """Pin the blind rows to what lies there now; what is missing or denied has an unknown etag and no size.

        Raises:
            OperatorError: a store does not answer.
        """
        mask = pa.array(blind)
        with _told():
            metas = list(self._pool.map(_look, rows.uris.filter(mask).to_pylist()))
        etags = pa.array([meta.etag if meta else UNKNOWN_ETAG for meta in metas], pa.string())
        sizes = pa.array([meta.size_bytes if meta else None for meta in metas], pa.int64())
        return Rows(rows.before, rows.uris, pc.replace_with_mask(rows.etags, mask, etags), pc.replace_with_mask(rows.sizes, mask, sizes))


def _look(uri: str) -> ObjectMeta | None:
    url, key = split_uri(uri)
    try:
        return shared_store(url).head(key)
    except (ObjectMissing, ObjectDenied):  # planned all the same, it dies with a reason
        return None


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise OperatorError(f"A video cannot be looked at now ({error}); run the same command again to go on from here.") from error
