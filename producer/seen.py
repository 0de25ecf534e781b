"""Which names were met before: exact but for equal names of 128 bits, in bounded memory, however many there are.

    a name ─ bitmap ─▶ certainly new, as most are while there are fewer names than bits
                └────▶ recent runs, in memory ─▶ older runs, on disk: one page is read per name and run

Runs are sorted. Recent ones are merged in memory until they become one on disk; FAN_IN of a level become one of the next.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from producer.runs import NAME_BYTES, Names, Run, merged

MEMORY_BYTES = 64 << 20
FAN_IN = 4
AT_ONCE = 1 << 16
LARGEST_BITMAP_BYTES = 1 << 29
"""There are no more than 2^32 beginnings."""
_HALF = np.uint64(32)


def names_of(*columns: pa.Array) -> NDArray[np.bytes_]:
    """Name each row by its values: BLAKE2b of 128 bits over them and their lengths, so that no two rows are joined alike."""
    parts = []
    for column in columns:
        value = column.cast(pa.string()).cast(pa.binary())
        parts += [pc.binary_length(value).cast(pa.string()).cast(pa.binary()), value]
    joined = pc.binary_join_element_wise(*parts, b":", null_handling="replace", null_replacement=b"-")
    names = b"".join([hashlib.blake2b(row, digest_size=NAME_BYTES).digest() for row in joined.to_pylist()])
    return np.frombuffer(names, dtype=f"S{NAME_BYTES}")


class Seen:
    """A set of names. Three quarters of its memory are the bitmap; the disk holds 16 bytes a name, and twice that while it merges.

    Names are spread evenly, as hashes are. Beyond a name for every bit, each new name costs one page per run on disk:
    whoever expects that many gives more memory. Fences of the runs come on top, with a byte for 64 names.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES, folder: Path | str | None = None) -> None:
        """Know no name yet; temporary files without names lie in the folder, or where the system has its own."""
        self._folder = folder
        self._bitmap = _Bitmap(memory_bytes * 3 // 4)
        self._room = max(1, memory_bytes // 16 // NAME_BYTES)
        self._recent: list[Names] = []
        self._older: list[Run] = []
        self._count = 0

    def __len__(self) -> int:
        """How many names there are."""
        return self._count

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give back the disk."""
        self.close()

    def close(self) -> None:
        """Forget all names, and give back the disk."""
        self._older, self._recent = [], []

    def has(self, names: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        """Tell which names are there.

        Raises:
            OperatorError: the disk cannot be read.
        """
        return _in_parts(names, self._has)

    def add(self, names: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        """Add names; True where one was there before, or stands earlier in the same array.

        Raises:
            OperatorError: the disk has no room.
        """
        return _in_parts(names, self._add)

    def _has(self, names: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        order, asked = Names.of(names)
        return _back(self._met(asked), order)

    def _add(self, names: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        order, asked = Names.of(names)
        met = self._met(asked) | asked.repeated(order)
        new = asked.at(~met)
        if len(new):
            self._bitmap.add(new.high)
            self._keep(new)
        return _back(met, order)

    def _met(self, asked: Names) -> NDArray[np.bool_]:
        """Whether names, which are in order, are in any run."""
        met = np.zeros(len(asked), dtype=np.bool_)
        maybe = np.flatnonzero(self._bitmap.has(asked.high))
        runs: list[Names | Run] = [*self._recent, *reversed(self._older)]
        for run in runs:
            if not len(maybe):
                break
            found = run.has(asked.at(maybe))
            met[maybe[found]] = True
            maybe = maybe[~found]
        return met

    def _keep(self, new: Names) -> None:
        self._count += len(new)
        self._recent.append(new)
        while len(self._recent) > 1 and len(self._recent[-2]) <= 2 * len(self._recent[-1]):
            self._recent[-2:] = [Names.joined(self._recent[-2:])]
        if sum(map(len, self._recent)) >= self._room:
            self._spill()

    def _spill(self) -> None:
        self._older.append(Run.written([Names.joined(self._recent)], folder=self._folder))
        self._recent = []
        while len(alike := self._older[-FAN_IN:]) == FAN_IN and len({run.level for run in alike}) == 1:
            pieces = merged(alike, at_once=max(self._room // FAN_IN, FAN_IN))
            self._older[-FAN_IN:] = [Run.written(pieces, folder=self._folder, level=alike[0].level + 1)]


class _Bitmap:
    """A bit for each beginning that a name may have: unset, none of the names begins so."""

    def __init__(self, size_bytes: int) -> None:
        self._bits = np.zeros(min(max(size_bytes, 8), LARGEST_BITMAP_BYTES), dtype=np.uint8)
        self._size = np.uint64(self._bits.size * 8)

    def has(self, high: NDArray[np.uint64]) -> NDArray[np.bool_]:
        place, bit = self._places(high)
        known: NDArray[np.bool_] = (self._bits[place] & bit) != 0
        return known

    def add(self, high: NDArray[np.uint64]) -> None:
        """Set the bits of names that are in order."""
        place, bit = self._places(high)
        firsts = np.flatnonzero(np.diff(place, prepend=-1))
        self._bits[place[firsts]] |= np.bitwise_or.reduceat(bit, firsts)

    def _places(self, high: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        place = ((high >> _HALF) * self._size >> _HALF).astype(np.int64)
        return place >> 3, np.left_shift(1, place & 7).astype(np.uint8)


def _in_parts(names: NDArray[np.bytes_], ask: Callable[[NDArray[np.bytes_]], NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Ask for so many names at once as are quickly sorted."""
    return np.concatenate([np.zeros(0, dtype=np.bool_), *(ask(names[first : first + AT_ONCE]) for first in range(0, len(names), AT_ONCE))])


def _back(answers: NDArray[np.bool_], order: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Put answers where the questions stood before they were sorted."""
    placed = np.empty_like(answers)
    placed[order] = answers
    return placed
