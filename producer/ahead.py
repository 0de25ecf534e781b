"""What a source has shown and no part of the plan has taken yet, column by column."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from producer.sources import CAUSES, Batch

PLANNED_BEFORE = "planned before"


@dataclass(frozen=True, slots=True)
class Taken:
    """Some videos of a source, in its order."""

    uris: list[str]
    etags: list[str]
    sizes: list[int]
    """In bytes."""
    cursor: str
    """Where the source stands after them."""
    skipped: Counter[str]
    """What was left out up to there, by cause."""

    def __len__(self) -> int:
        """How many videos there are."""
        return len(self.uris)


@dataclass(frozen=True, slots=True)
class _Rest:
    """The part of a batch that is not taken: the places of its wanted rows."""

    batch: Batch
    wanted: NDArray[np.intp]


class Ahead:
    """Looks ahead in a source as far as it is asked, and hands out its wanted rows in order."""

    def __init__(self, batches: Iterator[Batch], *, skipped: Counter[str], limit: int | None) -> None:
        """Begin where so much was left out before; show no more than `limit` videos, with those that were planned before."""
        self._batches, self._limit = batches, limit
        self._rests = deque[_Rest]()
        self._skipped = Counter(skipped)
        self._skipped_before = Counter(skipped)
        """Up to the last video that was taken."""
        self._seen = 0
        self._ended = False

    def see(self, videos: int) -> int:
        """Look ahead until so many videos are seen, or the source ends; returns how many are."""
        while self._seen < videos and not self._ended:
            batch = None if self._limit == 0 else next(self._batches, None)
            if batch is None:
                self._ended = True
            else:
                self._take_in(batch)
        return self._seen

    def _take_in(self, batch: Batch) -> None:
        wanted = np.flatnonzero(batch.causes == 0)
        if self._limit is not None:
            counted = np.flatnonzero((batch.causes == 0) | (batch.causes == CAUSES.index(PLANNED_BEFORE)))[: self._limit]
            wanted = counted[batch.causes[counted] == 0]
            self._limit -= len(counted)
        self._rests.append(_Rest(batch, wanted))
        self._seen += len(wanted)

    def take(self, videos: int) -> Taken:
        """Take so many videos, which must have been seen."""
        self._seen -= videos
        pieces, cursor, skipped = list[tuple[pa.Array, pa.Array, pa.Array]](), "", self._skipped
        while videos:
            rest = self._rests[0]
            rows = rest.wanted[:videos]
            if len(rows):
                chosen = pa.array(rows)
                pieces.append(tuple(pc.take(column, chosen) for column in (rest.batch.uris, rest.batch.etags, rest.batch.sizes)))
                cursor, skipped = rest.batch.cursor_at(int(rows[-1])), self._skipped + rest.batch.skipped(int(rows[-1]) + 1)
                videos -= len(rows)
            if videos:
                self._drop()
            else:
                self._rests[0] = replace(rest, wanted=rest.wanted[len(rows) :])
        self._skipped_before = skipped
        uris, etags, sizes = ([value for piece in pieces for value in piece[column].to_pylist()] for column in range(3))
        return Taken(uris, etags, sizes, cursor, skipped)

    def left_out(self) -> Counter[str]:
        """What is left out, by cause, once all is taken: of the whole source, or up to the last video that a limit allows."""
        if self._limit == 0:
            return self._skipped_before
        while self._rests:
            self._drop()
        return self._skipped

    def _drop(self) -> None:
        batch = self._rests.popleft().batch
        self._skipped += batch.skipped(len(batch.causes))
