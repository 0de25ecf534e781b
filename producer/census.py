"""Counting a source without planning it: videos and bytes, what is left out and why, and a sample of each class of sizes."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from producer.sources import Batch
from schemas.video import UNKNOWN_ETAG, VideoRef

CLASSES = 64
SEED = 6
"""Fixed, so that the same source gives the same sample."""
FIRST = 1000
"""Videos that are kept as they follow each other, to see how they are written down."""


@dataclass(slots=True)
class SizeClass:
    """Videos whose sizes lie within a factor of two."""

    videos: int = 0
    size_bytes: int = 0
    priorities: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    sample: list[VideoRef] = field(default_factory=list)
    """Drawn evenly from all of them, in an order that is random too."""

    def draw(self, priorities: NDArray[np.float64], videos: list[VideoRef], *, most: int) -> None:
        """Keep those with the smallest of the random numbers that every video was given."""
        both, candidates = np.concatenate([self.priorities, priorities]), [*self.sample, *videos]
        order = np.argsort(both)[:most]
        self.priorities, self.sample = both[order], [candidates[place] for place in order]


@dataclass(slots=True)
class Census:
    """What a source holds."""

    most: int
    """Videos sampled of each class."""
    objects: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    whole: bool = True
    """Whether it was read to its end, or as far as the job would."""
    first: list[VideoRef] = field(default_factory=list)
    classes: dict[int, SizeClass] = field(default_factory=dict)
    _random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))
    _bounds: NDArray[np.float64] = field(default_factory=lambda: np.ones(CLASSES + 1))
    """What a video's number must be below to be sampled, by class."""

    @property
    def videos(self) -> int:
        """Those that are wanted."""
        return sum(one.videos for one in self.classes.values())

    @property
    def size_bytes(self) -> int:
        """Of those that are wanted."""
        return sum(one.size_bytes for one in self.classes.values())

    def count(self, batch: Batch, *, upto: int) -> None:
        """Count the rows of a batch before this one."""
        self.objects += upto
        self.skipped += batch.skipped(upto)
        rows = np.flatnonzero(batch.causes[:upto] == 0)
        sizes = pc.fill_null(batch.sizes.take(pa.array(rows)), 0).to_numpy(zero_copy_only=False)
        kinds = np.frexp(sizes.astype(np.float64))[1]  # how many bits the size has
        priorities = self._random.random(len(rows))
        self._sum_up(kinds, sizes)
        self._draw(batch, rows, kinds, priorities)
        self.first += _videos(batch, rows[: FIRST - len(self.first)])

    def _sum_up(self, kinds: NDArray[np.int32], sizes: NDArray[np.int64]) -> None:
        for kind in np.unique(kinds):
            one = self.classes.setdefault(int(kind), SizeClass())
            of_it = sizes[kinds == kind]
            one.videos, one.size_bytes = one.videos + len(of_it), one.size_bytes + int(of_it.sum())

    def _draw(self, batch: Batch, rows: NDArray[np.intp], kinds: NDArray[np.int32], priorities: NDArray[np.float64]) -> None:
        (drawn,) = np.nonzero(priorities < self._bounds[kinds])
        for kind in np.unique(kinds[drawn]):
            those = drawn[kinds[drawn] == kind]
            those = those[np.argsort(priorities[those])][: self.most]
            one = self.classes[int(kind)]
            one.draw(priorities[those], _videos(batch, rows[those]), most=self.most)
            if len(one.sample) == self.most:
                self._bounds[kind] = one.priorities[-1]


def census_of(
    batches: Iterator[Batch], *, most: int, look: int = 0, limit: int = 0, progress: Callable[[Census], None] = lambda _: None
) -> Census:
    """Walk the batches of a source to their end, or to so many rows (`look`) or wanted videos (`limit`); zero lifts either.

    Raises:
        OperatorError: the source cannot be read; the message says what to do.
    """
    census = Census(most=most)
    for batch, upto in _within(batches, census, look=look, limit=limit):
        census.count(batch, upto=upto)
        progress(census)
    return census


def _within(batches: Iterator[Batch], census: Census, *, look: int, limit: int) -> Iterator[tuple[Batch, int]]:
    """How many rows of each batch are to be counted."""
    for batch in batches:
        rows = len(batch.causes)
        upto = min(rows, look - census.objects) if look else rows
        wanted = np.flatnonzero(batch.causes[:upto] == 0)
        last = bool(limit) and len(wanted) >= limit - census.videos
        if last:
            upto = int(wanted[limit - census.videos - 1]) + 1
        elif upto < rows:
            census.whole = False
        if upto:
            yield batch, upto
        if last or not census.whole:
            return


def _videos(batch: Batch, rows: NDArray[np.intp]) -> list[VideoRef]:
    place = pa.array(rows)
    columns = (column.take(place).to_pylist() for column in (batch.uris, batch.etags, batch.sizes))
    return [VideoRef(uri=uri, etag=etag or UNKNOWN_ETAG, size_bytes=size or 0) for uri, etag, size in zip(*columns, strict=True)]
