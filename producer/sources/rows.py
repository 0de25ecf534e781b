"""Rows of a manifest, column by column, and what is asked of them; a row that is wrong is named by its place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, ValidationError

from schemas.errors import OperatorError
from schemas.model import Model
from storage import split_uri

COLUMNS = {"uri": ("uri",), "etag": ("etag",), "size_bytes": ("size_bytes", "size")}
"""What a manifest may call the columns that are read."""
LARGEST_BYTES = 2**63 - 1
_NONE = type(None)

Place = Callable[[int], str]
"""Says where the row with this number among those at hand stands, such as `line 7`."""


class Entry(Model):
    """A row of a manifest. With both etag and size it costs no look at the object."""

    uri: Annotated[str, Field(min_length=1)]
    etag: str | None = None
    size_bytes: Annotated[int, Field(ge=0, le=LARGEST_BYTES)] | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of a manifest in its order; what a row does not say is null."""

    before: int
    """How many rows the manifest has before them."""
    uris: pa.StringArray
    etags: pa.StringArray
    sizes: pa.Int64Array

    def __len__(self) -> int:
        """How many they are."""
        return len(self.uris)

    def cut(self, first: int, most: int) -> "Rows":
        """Take some of them."""
        return Rows(self.before + first, self.uris.slice(first, most), self.etags.slice(first, most), self.sizes.slice(first, most))


def rows_of_lists(before: int, uris: Sequence[Any], etags: Sequence[Any], sizes: Sequence[Any], *, place: Place) -> Rows:
    """Make rows of values of whatever type.

    Raises:
        ValueError: a row is wrong.
    """
    if not (set(map(type, uris)) <= {str} and set(map(type, etags)) <= {str, _NONE} and set(map(type, sizes)) <= {int, _NONE}):
        uris, etags, sizes = _checked(uris, etags, sizes, place=place)
    try:
        columns = pa.array(uris, pa.string()), pa.array(etags, pa.string()), pa.array(sizes, pa.int64())
    except (ValueError, OverflowError):  # a text without UTF-8, or a size beyond all bounds
        uris, etags, sizes = _checked(uris, etags, sizes, place=place)
        columns = pa.array(uris, pa.string()), pa.array(etags, pa.string()), pa.array(sizes, pa.int64())
    return rows_of_columns(before, *columns, place=place)


def rows_of_columns(before: int, uris: pa.StringArray, etags: pa.StringArray, sizes: pa.Int64Array, *, place: Place) -> Rows:
    """Make rows of columns: URIs become absolute, and an empty etag is none.

    Raises:
        ValueError: a row is wrong.
    """
    if uris.null_count or pc.any(pc.equal(uris, "")).as_py() or (pc.min(sizes).as_py() or 0) < 0:
        _checked(uris.to_pylist(), etags.to_pylist(), sizes.to_pylist(), place=place)
    etags = pc.if_else(pc.equal(etags, ""), pa.scalar(None, pa.string()), etags)
    return Rows(before, _absolute(uris, place=place), etags, sizes)


def _checked(uris: Sequence[Any], etags: Sequence[Any], sizes: Sequence[Any], *, place: Place) -> tuple[list[Any], list[Any], list[Any]]:
    """Look at row after row: slow, but it says which one is wrong, and reads a number that is written as text."""
    entries = [_entry(place, number, *row) for number, row in enumerate(zip(uris, etags, sizes, strict=True))]
    return [entry.uri for entry in entries], [entry.etag for entry in entries], [entry.size_bytes for entry in entries]


def _entry(place: Place, number: int, uri: Any, etag: Any, size: Any) -> Entry:
    try:
        entry = Entry(uri=uri, etag=etag, size_bytes=size)
        f"{entry.uri}{entry.etag}".encode()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError(f"{place(number)}: {wrong}") from error
    except UnicodeEncodeError as error:
        raise ValueError(f"{place(number)}: uri or etag is no text that UTF-8 can say") from error
    return entry


def _absolute(uris: pa.StringArray, *, place: Place) -> pa.StringArray:
    """Paths become URIs; nearly all rows of a large manifest are URIs already."""
    ready = pc.match_substring_regex(uris, pattern="^s3://[^/]+/.")
    if pc.all(ready).as_py():
        return uris
    others = [_absolute_uri(uri, number, place) for number, uri in enumerate(uris.to_pylist())]
    return pa.array(others, pa.string())


def _absolute_uri(uri: str, number: int, place: Place) -> str:
    try:
        url, key = split_uri(uri)
    except OperatorError as error:
        raise ValueError(f"{place(number)}: {error}") from error
    if not key:
        raise ValueError(f"{place(number)}: the uri {uri!r} names no object")
    return f"{url}/{key}"
