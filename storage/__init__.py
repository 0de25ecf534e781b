"""Object stores behind one protocol: `s3://bucket/prefix`, `file:///folder` or a bare path, `memory://name`.

StoreError
 ├ ObjectMissing      there is no such object
 ├ ObjectChanged      the object is no longer the one that was listed (its etag differs)
 ├ ObjectDenied       the store knows us and refuses
 └ StoreUnavailable   the store did not answer, or not sensibly, after retries
"""

import os.path
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from schemas.errors import OperatorError


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


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects of a listing, column by column, as the producer reads millions of them; keys are relative to the store."""

    keys: list[str]
    sizes: list[int]
    """In bytes."""
    etags: Sequence[str]
    modified: Sequence[str]
    """ISO 8601 in UTC, such as 2026-11-21T17:35:05.000Z; empty where the store does not say."""
    classes: list[str]
    """Storage classes as S3 names them; empty where the store has none."""


class Store(Protocol):
    """A folder of objects. Keys are relative, with `/` between parts. All calls block and are safe from many threads."""

    url: str
    """The store's own address, without a trailing slash: `url + "/" + key` is an object's URI."""

    def head(self, key: str) -> ObjectMeta:
        """Look at an object without reading it."""

    def get(self, key: str) -> bytes:
        """Read a whole object."""

    def get_range(self, key: str, *, start: int, end: int, etag: str | None = None) -> bytes:
        """Read bytes `start` to `end` (exclusive; clamped to the object's end), of this very etag if one is given.

        Where nothing is left to read the answer is empty, but a missing or changed object is still refused.
        """

    def pages(self, prefix: str = "", *, start_after: str = "", most: int = 1000) -> Iterator[Page]:
        """Stream the same listing as `list`, in pages of `most` objects at most; none is empty."""

    def list(self, prefix: str = "", *, start_after: str = "") -> Iterator[ObjectMeta]:
        """Stream objects whose key begins with `prefix`, in the order of their keys' UTF-8 bytes, after `start_after`.

        The prefix is one of strings, as S3 has it: `captions/a` finds `captions/ab.jsonl`. A folder that is not there is empty.
        """

    def create(self, key: str, body: bytes) -> bool:
        """Write an object that must not exist yet, at once or not at all.

        True if it was created, and also if these very bytes are there already, since that may be one's own retried write
        whose answer was lost; False if other bytes are there, which stay as they are.
        """

    def replace(self, key: str, body: bytes) -> None:
        """Write an object whether or not one is there, at once or not at all: who reads meanwhile has the old bytes or the new.

        Of two writers at the same time the last one wins, so this is for what people decide and never for what workers commit.
        """


def open_store(url: str) -> Store:
    """Open the store at `s3://bucket/prefix`, `file:///folder`, a bare path or `memory://name`; keep it, opening is not cheap.

    Raises:
        OperatorError: the address is of no known kind, or its credentials cannot be found.
    """
    scheme, place = _scheme_and_place(url)
    match scheme:  # imports wait until they are needed: boto3 and obstore are heavy, and a local run goes without them
        case "s3":
            from storage.s3 import S3Store

            bucket, _, prefix = place.partition("/")
            return S3Store(bucket, prefix=prefix.rstrip("/"))
        case "file":
            from storage.local import LocalStore

            return LocalStore(place)
        case "memory":
            from storage.memory import MemoryStore

            name, _, prefix = place.partition("/")
            return MemoryStore(name, prefix=prefix.rstrip("/"))
        case _:
            raise _unknown(url)


@lru_cache(maxsize=256)
def shared_store(url: str) -> Store:
    """Open a store once per process, for who meets the same few buckets again and again."""
    return open_store(url)


def split_uri(uri: str) -> tuple[str, str]:
    """Split an object's URI into the URL of a store that has it and its key there. URIs are raw: nothing is percent-encoded.

    Raises:
        OperatorError: the URI is of no known kind.
    """
    scheme, place = _scheme_and_place(uri)
    match scheme:
        case "s3" | "memory":
            root, _, key = place.partition("/")
            return f"{scheme}://{root}", key
        case "file":
            folder, _, name = place.rpartition("/")
            return f"file://{folder}", name
        case _:
            raise _unknown(uri)


_MISTYPED = re.compile(r"(s3|file|memory|http|https|gs):/?(?!/)")


def _scheme_and_place(url: str) -> tuple[str, str]:
    """What stands before and after `://`; a path becomes absolute and loses its `..`, but keeps its symbolic links."""
    scheme, found, place = url.partition("://")
    if found and scheme != "file":
        return scheme, place
    if found and place and not place.startswith("/"):
        message = f"{url!r} has no absolute path: write file:///folder with three slashes, or the bare path."
        raise OperatorError(message)
    if not found and _MISTYPED.match(url):
        message = f"{url!r} has one slash behind its colon: write s3://bucket/prefix with two, or ./{url} for a folder of that name."
        raise OperatorError(message)
    return "file", os.path.abspath((place or "/") if found else url)  # noqa: PTH100 - pathlib either keeps `..` or follows links


def _unknown(url: str) -> OperatorError:
    return OperatorError(f"{url!r} is of no known kind: write s3://bucket/prefix, file:///folder or a path.")
