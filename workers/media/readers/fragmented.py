"""Keyframes of fragmented MP4: the fragments' tables and exactly the samples of the chosen keyframes are read.

Which keyframes there are to choose from depends on the file and the policy alone:
- Where an index (`sidx`, `mfra`) names more fragments than may be chosen, enough far apart, and those chosen begin with a keyframe,
  each fragment counts for one keyframe: its first.
- Otherwise every fragment's `moof` is read and every keyframe counts: an index does not tell how many there are in a fragment, nor
  whether it begins with one.
- Without an index this is done as long as fragments are large. The rest is read from end to end, and so are files whose time stamps
  FFmpeg works out from more than one fragment; every keyframe counts there too.
A keyframe is what the tables call so, as in other MP4 files; reading from end to end, FFmpeg also looks into the samples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from workers.media.child.objectfile import ObjectFile
from workers.media.child.report import Report
from workers.media.child.unusable import UnusableIndexError
from workers.media.costs import Range
from workers.media.readers.excerpt import Excerpt
from workers.media.readers.fragments import Layout, Moof, Span, are_large, layout_of, moofs
from workers.media.readers.movie import Key, Movie, keys_of
from workers.media.readers.opening import check_duration
from workers.media.readers.pieces import report_pieces
from workers.media.readers.places import Places
from workers.media.sampling import choose
from workers.media.wire import Job

SHORTEST_LOOK, LONGEST_LOOK = 2 * 1024, 64 * 1024
"""What is read at first of a fragment: twice the length of the first one's `moof`, within these."""
MOST_HELD_BYTES = 8 * 1024 * 1024
"""What is kept of the fragments' heads, so that it is not read twice."""
MOST_KEYFRAMES = 400_000
MDAT_HEADER_BYTES = 16
FREE_BYTES = 8


@dataclass(frozen=True, slots=True)
class FragmentPiece:
    """A keyframe, and the `moof` that tells of it."""

    movie: Movie
    moof: Moof
    key: Key
    head: bytes
    """What is already read, from the `moof` on."""

    @property
    def seconds(self) -> float:
        """When the keyframe is shown, but for a constant."""
        return self.key.time / self.movie.scale

    @property
    def position(self) -> int:
        """Where the keyframe's sample begins."""
        return self.key.starts

    @property
    def ranges(self) -> Sequence[Range]:
        """What is missing of the `moof`, of the header of the `mdat` behind it, and of the sample."""
        read_to, tables_end = self.moof.starts + len(self.head), self.moof.ends + MDAT_HEADER_BYTES
        wanted = [(self.moof.starts, tables_end), (self.key.starts, self.key.ends)]
        if self.key.starts <= tables_end:
            wanted = [(self.moof.starts, self.key.ends)]
        return [(max(start, read_to), end) for start, end in wanted if end > read_to]

    def excerpt(self, bodies: Sequence[bytes]) -> Excerpt:
        """Make a file of the header and, with a gap between, the fragment up to the end of the sample, all at their places."""
        header = self.movie.header
        found = zip((start for start, _ in self.ranges), bodies, strict=True)
        return Excerpt([(0, header), *_free(len(header), self.moof.starts), (self.moof.starts, self.head), *found])


def _free(starts: int, ends: int) -> list[tuple[int, bytes]]:
    """The header of a box that holds nothing, from the file's header to the fragment."""
    size = ends - starts
    if not size:
        return []
    short = size < 1 << 32
    return [(starts, size.to_bytes(4) + b"free" if short else (1).to_bytes(4) + b"free" + size.to_bytes(8))]


def report_fragmented(file: ObjectFile, job: Job, report: Report) -> None:
    """Choose among the keyframes that the fragments' tables name and report each chosen one.

    Raises:
        UnusableIndexError: they do not tell enough, or it is cheaper to read the whole file; nothing is reported yet.
    """
    layout = layout_of(file)
    reader = Fragments(file, layout)
    pieces = reader.chosen_by_index(job) or reader.chosen_by_walk(job)
    report_pieces(file, job, report, "mov", pieces)


class Fragments:
    """Reads the heads of a file's fragments."""

    def __init__(self, file: ObjectFile, layout: Layout) -> None:
        self._file = file
        self._layout = layout
        self._places = Places(file, look_bytes=min(max(2 * layout.moof_bytes, SHORTEST_LOOK), LONGEST_LOOK))
        self._heads: dict[int, bytes] = {}
        self._held_bytes = 0

    def chosen_by_index(self, job: Job) -> Sequence[FragmentPiece]:
        """Choose among fragments by their times; nothing if that is no choice among keyframes."""
        spans = self._layout.spans
        chosen = _choose([span.seconds for span in spans], job) if spans else []
        if not 0 < job.max_per_video == len(chosen):
            return []
        self._places.plan(spans[ordinal].starts for ordinal in chosen)
        first = [next(self._pieces(islice(moofs(self._places, spans[ordinal]), 1), spans[ordinal]), None) for ordinal in chosen]
        pieces = [piece for piece in first if piece is not None and piece.key.is_first]
        return pieces if len(pieces) == len(chosen) else []

    def chosen_by_walk(self, job: Job) -> Sequence[FragmentPiece]:
        """Choose among all keyframes.

        Raises:
            UnusableIndexError: there are none, or looking at all fragments takes too much.
        """
        spans = self._layout.spans or [self._layout.body]
        if not self._layout.spans and not are_large(self._places, self._layout.body):
            raise UnusableIndexError("The fragments are small.")
        self._places.plan(span.starts for span in spans)
        pieces: list[FragmentPiece] = []
        for span in spans:
            pieces += self._pieces(moofs(self._places, span), span)
            if len(pieces) > MOST_KEYFRAMES:
                raise UnusableIndexError("There are too many keyframes.")
        if not pieces:
            raise UnusableIndexError("The fragments hold no keyframe.")
        return [pieces[ordinal] for ordinal in _choose([piece.seconds for piece in pieces], job)]

    def _pieces(self, walk: Iterator[Moof], span: Span) -> Iterator[FragmentPiece]:
        for moof in walk:
            body = self._places.at(moof.starts, moof.ends - moof.starts)
            for key in keys_of(self._layout.movie, body, at=moof.starts):
                if key.ends > span.ends:
                    raise UnusableIndexError("A sample lies outside of its fragment.")
                yield FragmentPiece(self._layout.movie, moof, key, self._head(moof))

    def _head(self, moof: Moof) -> bytes:
        """What is read of the fragment, if there is room for it."""
        if moof.starts not in self._heads and self._held_bytes < MOST_HELD_BYTES:
            self._heads[moof.starts] = self._places.seen_from(moof.starts)
            self._held_bytes += len(self._heads[moof.starts])
        return self._heads.get(moof.starts, b"")


def _choose(seconds: Sequence[float], job: Job) -> list[int]:
    check_duration(max(seconds) - min(seconds), job)
    return choose(seconds, min_gap_seconds=job.min_gap_seconds, max_per_video=job.max_per_video)
