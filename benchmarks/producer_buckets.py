"""Buckets that are listed: of films that exist by arithmetic, or a folder of this machine; and pages of them as S3 writes them."""

import os
from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Lock
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray
from producer_films import CLASSES, MODIFIED, Films, archived, digits, etags, names, sizes

MOST_KEYS = 1000
SPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
ROW = (
    b"<Contents><Key>", b"</Key><LastModified>" + MODIFIED.encode() + b"</LastModified><ETag>&quot;", b"&quot;</ETag><Size>",
    b"</Size><StorageClass>", b"</StorageClass></Contents>",
)  # fmt: skip


@dataclass(slots=True)
class Folder:
    """A bucket that is a folder; its names are read once and then kept, in order."""

    path: Path
    keys: list[str] = field(default_factory=list)
    sums: dict[str, str] = field(default_factory=dict)
    """The metadata that came with an object."""
    writing: Lock = field(default_factory=Lock)
    serial: "count[int]" = field(default_factory=count)

    def __post_init__(self) -> None:
        self.path.mkdir(exist_ok=True)
        self.keys = sorted(unquote(name) for name in os.listdir(self.path) if not name.startswith("."))  # noqa: PTH208

    def file(self, key: str) -> Path:
        return self.path / quote(key, safe="")

    def put(self, key: str, body: bytes, sha256: str, *, only_new: bool) -> bool:
        """Write an object at once; False if it is there and must not be."""
        hidden = self.path / f".{next(self.serial)}"
        hidden.write_bytes(body)
        with self.writing:
            new = not self.file(key).exists()
            if new or not only_new:
                hidden.replace(self.file(key))
                self.sums[key] = sha256
            if new:
                insort(self.keys, key)
        hidden.unlink(missing_ok=True)
        return new or not only_new

    def listed(self, asked: "Question") -> "tuple[Found, bytes]":
        """Find a page, and write its rows."""
        with self.writing:
            found = find(self.keys, asked)
            return found, b"".join(_row(key, self.file(key).stat()) for key in map(self.keys.__getitem__, found.places))


@dataclass(frozen=True, slots=True)
class Question:
    """What a listing is asked for."""

    prefix: str
    after: str
    """Keys up to this one are left out."""
    most: int
    delimiter: str

    @classmethod
    def of(cls, asked: dict[str, list[str]]) -> "Question":
        """Read a query."""
        words = {name: values[0] for name, values in asked.items()}
        after = max(words.get("start-after", ""), unquote(words.get("continuation-token", "")))
        return cls(words.get("prefix", ""), after, min(MOST_KEYS, int(words.get("max-keys", MOST_KEYS))), words.get("delimiter", ""))


@dataclass(frozen=True, slots=True)
class Found:
    """What a listing found: places of objects in the bucket's order, or prefixes up to a delimiter, and where to go on from."""

    places: range | list[int]
    prefixes: list[str]
    next_after: str
    """Empty if there is no more."""


def find(keys: Sequence[str], asked: Question) -> Found:
    """Find a page, by a few looks whatever the number of keys."""
    first = max(bisect_left(keys, asked.prefix), bisect_right(keys, asked.after))
    last = bisect_left(keys, True, lo=min(first, len(keys)), key=lambda key: key[: len(asked.prefix)] > asked.prefix)
    if asked.delimiter:
        return _find_folded(keys, range(first, last), asked)
    stop = min(last, first + asked.most)
    return Found(range(first, stop), [], keys[stop - 1] if stop < last else "")


def _find_folded(keys: Sequence[str], within: range, asked: Question) -> Found:
    places, prefixes, at, name = list[int](), list[str](), within.start, ""
    while at < within.stop and len(places) + len(prefixes) < asked.most:
        head, found, _ = keys[at][len(asked.prefix) :].partition(asked.delimiter)
        if found:
            name = asked.prefix + head + found
            prefixes.append(name)
            name += "\U0010ffff"  # behind all that begins so
            at = bisect_right(keys, name, lo=at)
        else:
            name = keys[at]
            places.append(at)
            at += 1
    return Found(places, prefixes, name if at < within.stop else "")


def listed_films(films: Films, asked: Question) -> tuple[Found, bytes]:
    """Find a page of films, and write its rows."""
    found = find(films, asked)
    return found, film_rows(np.asarray(found.places, np.int64), count=len(films))


def film_rows(numbers: NDArray[np.int64], *, count: int) -> bytes:
    """The rows of a listing for these films, as columns side by side; what is shorter than its column is filled with NULs, which go."""
    size = digits(sizes(numbers), 11)
    size[np.logical_and.accumulate(size == ord("0"), axis=1)] = 0
    classes = np.array([np.frombuffer(name.encode().ljust(8, b"\0"), np.uint8) for name in CLASSES])[archived(numbers).astype(int)]
    fixed = [np.tile(np.frombuffer(text, np.uint8), (len(numbers), 1)) for text in ROW]
    columns = (fixed[0], names(numbers, count=count), fixed[1], etags(numbers), fixed[2], size, fixed[3], classes, fixed[4])
    return np.hstack(columns).tobytes().translate(None, b"\0")


def _row(key: str, status: os.stat_result) -> bytes:
    values = (quote(key), f"{status.st_mtime_ns:x}", str(status.st_size), CLASSES[0], "")
    return b"".join(text + value.encode() for text, value in zip(ROW, values, strict=True))


def page(bucket: str, asked: Question, found: Found, rows: bytes) -> bytes:
    token = f"<NextContinuationToken>{quote(found.next_after)}</NextContinuationToken>" if found.next_after else ""
    prefixes = "".join(f"<CommonPrefixes><Prefix>{quote(name)}</Prefix></CommonPrefixes>" for name in found.prefixes)
    told = f"<KeyCount>{len(found.places) + len(found.prefixes)}</KeyCount><MaxKeys>{asked.most}</MaxKeys>"
    head = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{SPACE}"><Name>{bucket}</Name>'
        f"<Prefix>{quote(asked.prefix)}</Prefix>{token}{told}<EncodingType>url</EncodingType>"
        f"<IsTruncated>{str(bool(token)).lower()}</IsTruncated>"
    )
    return head.encode() + rows + f"{prefixes}</ListBucketResult>".encode()
