"""Object stores behind one protocol: `s3://bucket/prefix`, `file:///folder` or a bare path, `memory://name`.

StoreError
 ├ ObjectMissing      there is no such object
 ├ ObjectChanged      the object is no longer the one that was listed (its etag differs)
 ├ ObjectDenied       the store knows us and refuses
 └ StoreUnavailable   the store did not answer, or not sensibly, after retries
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class StoreError(Exception):
    """A store could not do what was asked."""


class ObjectMissing(StoreError):  # noqa: N818 - named by what happened
    """There is no such object (or bucket)."""


class ObjectChanged(StoreError):  # noqa: N818
    """The object is no longer the one that was listed."""


class ObjectDenied(StoreError):  # noqa: N818
    """The store knows us and refuses."""


class StoreUnavailable(StoreError):  # noqa: N818
    """The store did not answer, or not sensibly, after retries."""


@dataclass(frozen=True, slots=True)
class ObjectMeta:
    """One object as a listing shows it; `key` is relative to the store it was asked of."""

    key: str
    size_bytes: int
    etag: str


class Store(Protocol):
    """A folder of objects. Keys are relative, with `/` between parts. All calls block and are safe from many threads."""

    url: str
    """The store's own address, without a trailing slash: `url + "/" + key` is an object's URI."""

    def head(self, key: str) -> ObjectMeta:
        """Look at an object without reading it."""

    def get(self, key: str) -> bytes:
        """Read a whole object."""

    def get_range(self, key: str, *, start: int, end: int, etag: str | None = None) -> bytes:
        """Read bytes `start` to `end` (exclusive; clamped to the object's end), of this very etag if one is given."""

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """Stream objects whose key begins with `prefix`, in the order of their keys' UTF-8 bytes, after `start_after`."""

    def create(self, key: str, body: bytes) -> bool:
        """Write an object that must not exist yet, at once or not at all; False if somebody else's bytes are there already."""
