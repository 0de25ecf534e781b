"""Manifests of lines, plain or compressed: a URI, or a JSON object with `uri` (and `etag` with `size_bytes`)."""

import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, cast

from producer.sources.ranged import RangedFile
from producer.sources.rows import Place, Rows, rows_of_lists
from storage.lines import zstd

AT_ONCE_BYTES = 4 << 20
LONGEST_LINE = 1 << 20
BLANKS = " \t\r\v\f"
BYTE_ORDER_MARK = "\ufeff"

Read = Callable[[int], bytes]


def read_lines(source: str, *, after: int) -> Generator[Rows, None, int]:
    """Read the rows behind so many rows, which are counted but not parsed; returns how many there are.

    Raises:
        ValueError: a line is wrong, or the compressed bytes are.
        StoreError: the object cannot be read.
    """
    before, line = 0, 1
    with _opened(source) as read:
        for text in _texts(read):
            lines = text.split("\n")
            entries = [entry for each in lines if (entry := each.strip(BLANKS)) and entry[0] != "#"]
            if before + len(entries) > after:
                known = max(0, after - before)
                yield _parsed(before + known, entries[known:], place=_places(lines, first=line, known=known))
            before += len(entries)
            line += len(lines)
    return before


@contextmanager
def _opened(source: str) -> Iterator[Read]:
    """Read what the lines say once they are unpacked. Standard input may be slow, so what it has is enough."""
    if source == "-":
        yield cast("io.BufferedReader", sys.stdin.buffer).read1
        return
    try:
        with io.BufferedReader(RangedFile(source), AT_ONCE_BYTES) as packed:
            yield _unpacked(cast("io.BufferedReader", packed), source.lower())
    except (gzip.BadGzipFile, zlib.error, zstd.ZstdError, EOFError) as error:
        raise ValueError(f"its compressed bytes are damaged or cut off ({error})") from error


def _unpacked(packed: io.BufferedReader, name: str) -> Read:
    if name.endswith(".gz"):
        return gzip.GzipFile(fileobj=packed).read
    return zstd.ZstdFile(packed).read if name.endswith(".zst") else packed.read


def _texts(read: Read) -> Iterator[str]:
    """Whole lines, many at once, without the last one's end."""
    first, rest = 1, b""
    while body := read(AT_ONCE_BYTES):
        whole, ended, rest = (rest + body).rpartition(b"\n")
        if ended:
            yield _text(whole, first)
            first += whole.count(b"\n") + 1
        if len(rest) > LONGEST_LINE:
            raise ValueError(f"line {first} is longer than {LONGEST_LINE} bytes")
    if rest:
        yield _text(rest, first)


def _text(body: bytes, first: int) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        line = first + body.count(b"\n", 0, error.start)
        raise ValueError(f"line {line} is not UTF-8 text") from error
    return text.removeprefix(BYTE_ORDER_MARK) if first == 1 else text


def _places(lines: list[str], *, first: int, known: int) -> Place:
    """Find a row's line again, should it be wrong."""

    def place(number: int) -> str:
        written = [line for line, each in enumerate(lines, start=first) if (entry := each.strip(BLANKS)) and entry[0] != "#"]
        return f"line {written[known + number]}"

    return place


def _parsed(before: int, entries: list[str], *, place: Place) -> Rows:
    uris, etags, sizes = list[Any](), list[Any](), list[Any]()
    for entry in entries:
        if entry[0] != "{":
            row: dict[str, Any] = {"uri": entry}
        else:
            row = _object(entry, len(uris), place)
        uris.append(row.get("uri"))
        etags.append(row.get("etag"))
        sizes.append(row["size_bytes"] if "size_bytes" in row else row.get("size"))
    return rows_of_lists(before, uris, etags, sizes, place=place)


def _object(entry: str, number: int, place: Place) -> dict[str, Any]:
    try:
        row, end = _JSON.raw_decode(entry)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place(number)} is no JSON object ({error})") from error
    if end < len(entry):
        raise ValueError(f"{place(number)} is no JSON object (something stands behind it)")
    found: dict[str, Any] = row
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse)
