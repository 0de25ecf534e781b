"""Sorted runs of names of 128 bits, in memory and on disk."""

import mmap
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from schemas.errors import OperatorError

NAME_BYTES = 16
BLOCK = 256
"""Names per fence: 4 KiB, a page of memory."""
LOOK_AT_ONCE = 512
"""Each look may show 64 KiB to this process, which count as its memory until it lets them go."""
_TOP = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Names:
    """Names in the order of their high halves; a half is 64 bits."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]

    @classmethod
    def of(cls, names: NDArray[np.bytes_]) -> "tuple[NDArray[np.intp], Names]":
        """Sort names; the order says where each one stood."""
        halves = _halves(np.ascontiguousarray(names, dtype=f"S{NAME_BYTES}"))
        order = np.argsort(halves[:, 0])
        return order, cls(halves[order, 0], halves[order, 1])

    @classmethod
    def joined(cls, several: "Sequence[Names]") -> "Names":
        """Make one of several."""
        high, low = np.concatenate([names.high for names in several]), np.concatenate([names.low for names in several])
        order = np.argsort(high, kind="stable")  # which is quick where runs are in order already
        return cls(high[order], low[order])

    def __len__(self) -> int:
        """How many there are."""
        return len(self.high)

    def at(self, places: NDArray[np.bool_] | NDArray[np.intp] | slice) -> "Names":
        """Take some."""
        return Names(self.high[places], self.low[places])

    def copy(self) -> "Names":
        """Take them out of where they lie."""
        return Names(self.high.copy(), self.low.copy())

    def repeated(self, order: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Tell which names are here more than once, but for the one that stood first."""
        repeated = np.zeros(len(self), dtype=np.bool_)
        alike = self.high[1:] == self.high[:-1]
        places = np.flatnonzero(np.append(alike, False) | np.append(False, alike))
        places = places[np.lexsort((order[places], self.low[places], self.high[places]))]
        same = (self.high[places[1:]] == self.high[places[:-1]]) & (self.low[places[1:]] == self.low[places[:-1]])
        repeated[places[1:][same]] = True
        return repeated

    def has(self, asked: "Names", *, places: NDArray[np.intp] | None = None) -> NDArray[np.bool_]:
        """Tell which of the asked names are here; the first that is not before each one stands in its place, if that is known."""
        found = np.zeros(len(asked), dtype=np.bool_)
        places = np.searchsorted(self.high, asked.high) if places is None else places
        still = np.arange(len(asked))
        while len(still := still[places[still] < len(self)]):
            still = still[self.high[places[still]] == asked.high[still]]
            equal = self.low[places[still]] == asked.low[still]
            found[still[equal]] = True
            still = still[~equal]
            places[still] += 1
        return found


@dataclass(frozen=True, slots=True)
class Run:
    """Names on disk, in order, and in memory the beginning of the first name of every block."""

    level: int
    fences: NDArray[np.uint32]
    names: Names
    """Views of the file."""
    file: mmap.mmap
    """It has no name, and is gone when nobody has the run."""

    @classmethod
    def written(cls, pieces: Iterable[Names], *, folder: Path | str | None, level: int = 0) -> Self:
        """Write pieces, each of which goes on where the one before ends.

        Raises:
            OperatorError: the disk has no room.
        """
        fences, count = list[NDArray[np.uint32]](), 0
        with _disk(folder), tempfile.TemporaryFile(dir=folder) as file:
            for piece in pieces:
                fences.append((piece.high[-count % BLOCK :: BLOCK] >> _TOP).astype(np.uint32))
                file.write(np.column_stack((piece.high, piece.low)).data)
                count += len(piece)
            file.flush()
            mapped = mmap.mmap(file.fileno(), count * NAME_BYTES, prot=mmap.PROT_READ)
        mapped.madvise(mmap.MADV_RANDOM)
        halves = np.frombuffer(mapped, dtype=np.uint64).reshape(-1, 2)
        return cls(level, np.concatenate(fences), Names(halves[:, 0], halves[:, 1]), mapped)

    def __len__(self) -> int:
        """How many names it has."""
        return len(self.names)

    def read(self, start: int, end: int) -> Names:
        """Read the names with these numbers, as somebody who reads all of them does."""
        self.file.madvise(mmap.MADV_SEQUENTIAL)
        some = self.names.at(slice(start, end)).copy()
        self.file.madvise(mmap.MADV_DONTNEED)  # pages that were read count as this process's memory
        return some

    def has(self, asked: Names) -> NDArray[np.bool_]:
        """Tell which of the asked names, which are in order, are here."""
        found = np.zeros(len(asked), dtype=np.bool_)
        for first in range(0, len(asked), LOOK_AT_ONCE):
            part = asked.at(slice(first, first + LOOK_AT_ONCE))
            found[first : first + LOOK_AT_ONCE] = self.names.has(part, places=self._places(part.high))
            self.file.madvise(mmap.MADV_DONTNEED)
        return found

    def _places(self, high: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Where each name would stand: bisection inside its block, or its blocks where many names begin alike."""
        top = (high >> _TOP).astype(np.uint32)
        low = np.maximum(np.searchsorted(self.fences, top, side="left") - 1, 0) * BLOCK
        end = np.minimum(np.searchsorted(self.fences, top, side="right") * BLOCK, len(self))
        while (low < end).any():
            middle = (low + end) // 2
            before = self.names.high[np.minimum(middle, len(self) - 1)] < high
            before &= low < end
            low, end = np.where(before, middle + 1, low), np.where(before, end, np.minimum(middle, end))
        return low


def merged(runs: Sequence[Run], *, at_once: int) -> Iterator[Names]:
    """Read runs as if they were one, piece by piece, with so many names of each in memory."""
    read = [0] * len(runs)
    waiting = [run.read(0, 0) for run in runs]
    while True:
        for number, run in enumerate(runs):
            if not len(waiting[number]) and read[number] < len(run):
                end = min(read[number] + at_once, len(run))
                waiting[number], read[number] = run.read(read[number], end), end
        if not any(map(len, waiting)):
            return
        bounds = [names.high[-1] for names, run, upto in zip(waiting, runs, read, strict=True) if upto < len(run)]
        cuts = [len(names) if not bounds else int(np.searchsorted(names.high, min(bounds), side="right")) for names in waiting]
        yield Names.joined([names.at(slice(cut)) for names, cut in zip(waiting, cuts, strict=True)])
        waiting = [names.at(slice(cut, None)) for names, cut in zip(waiting, cuts, strict=True)]


def _halves(body: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    return body.view(np.uint64).reshape(-1, 2)


@contextmanager
def _disk(folder: Path | str | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = folder or tempfile.gettempdir()
        raise OperatorError(
            f"Names of videos cannot be kept in {place} ({error.strerror}): free 32 bytes a video, or set TMPDIR to another place."
        ) from error
