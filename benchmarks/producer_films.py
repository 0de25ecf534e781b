"""A bucket of any number of videos that exist by arithmetic alone: the n-th name, size and etag, and thousands of them at once as columns.

    videos/2026/11/ab/clip-000000123.mp4     12 months of 256 folders; every 50th file is a subtitle, every 100th lies in an archive

Names of equal length sort as their numbers do, so that a listing from any key on is a search in a range.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

FOLDERS = 12 * 256
MODIFIED = "2026-11-01T12:00:00.000Z"
DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
NAME = b"videos/2026/00/00/clip-000000000.mp4"
MONTH, FOLDER, NUMBER, SUFFIX = 12, 15, 23, 33
"""Where they begin in a name."""
SUBTITLE_EVERY, ARCHIVED_EVERY, GIANT_EVERY = 50, 100, 1_000_000
SUBTITLE_AT, ARCHIVED_AT, GIANT_AT = 7, 3, 4
SMALLEST_BYTES, SPREAD_BYTES, GIANT_BYTES = 4_000_000, 1 << 26, 30_000_000_000
"""A video has 4 to 71 MB, 37 on average, as have the minutes that people upload; one in a million has hours."""
CLASSES = ("STANDARD", "GLACIER")
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Films(Sequence[str]):
    """The names of so many objects, in order."""

    count: int

    def __len__(self) -> int:
        return self.count

    @overload
    def __getitem__(self, number: int) -> str: ...

    @overload
    def __getitem__(self, number: slice) -> "list[str]": ...

    def __getitem__(self, number: int | slice) -> "str | list[str]":
        place = range(self.count)[number]
        if isinstance(place, range):
            return [self[one] for one in place]
        folder = place * FOLDERS // self.count
        suffix = "srt" if place % SUBTITLE_EVERY == SUBTITLE_AT else "mp4"
        return f"videos/2026/{1 + folder // 256:02}/{folder % 256:02x}/clip-{place:09}.{suffix}"


def names(numbers: NDArray[np.int64], *, count: int) -> Bytes:
    """The names of these of so many objects, a row of bytes each."""
    rows = np.tile(np.frombuffer(NAME, np.uint8), (len(numbers), 1))
    folders = numbers * FOLDERS // count
    rows[:, MONTH : MONTH + 2] = digits(1 + folders // 256, 2)
    rows[:, FOLDER : FOLDER + 2] = digits(folders % 256, 2, radix=16)
    rows[:, NUMBER : NUMBER + 9] = digits(numbers, 9)
    rows[numbers % SUBTITLE_EVERY == SUBTITLE_AT, SUFFIX:] = np.frombuffer(b"srt", np.uint8)
    return rows


def sizes(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many bytes these objects have."""
    spread = SMALLEST_BYTES + (_mixed(numbers) % np.uint64(SPREAD_BYTES)).astype(np.int64)
    subtitled = np.where(numbers % SUBTITLE_EVERY == SUBTITLE_AT, 20_000, spread)
    return np.where(numbers % GIANT_EVERY == GIANT_AT, GIANT_BYTES, subtitled)


def etags(numbers: NDArray[np.int64]) -> Bytes:
    """Their etags, without quotes: 32 hex digits, which look like chance and are hard to compress, as MD5 is."""
    halves = np.stack([_mixed(numbers), _mixed(numbers + (1 << 40))], axis=1)
    nibbles = (halves[:, :, None] >> np.arange(60, -1, -4, dtype=np.uint64)) & np.uint64(15)
    return DIGITS[nibbles.reshape(len(numbers), 32)]


def archived(numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of them cannot be read before they are restored."""
    return numbers % ARCHIVED_EVERY == ARCHIVED_AT


def wanted(count: int) -> int:
    """How many of so many objects are videos that can be read."""
    whole, rest = divmod(count, ARCHIVED_EVERY)
    numbers = np.arange(ARCHIVED_EVERY)
    good = (numbers % SUBTITLE_EVERY != SUBTITLE_AT) & ~archived(numbers)
    return int(whole * good.sum() + good[:rest].sum())


def digits(numbers: NDArray[np.int64], width: int, *, radix: int = 10) -> Bytes:
    """Write numbers with leading zeros."""
    powers = radix ** np.arange(width - 1, -1, -1, dtype=np.int64)
    return DIGITS[numbers[:, None] // powers % radix]


def _mixed(numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Spread numbers over 64 bits: the finish of splitmix64 (Steele, Lea and Flood, 2014)."""
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
