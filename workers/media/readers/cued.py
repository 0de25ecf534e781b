"""Keyframes of Matroska and WebM by their Cues: exactly the blocks of the chosen keyframes are read.

The Cues alone say which keyframes there are. Muxers name every keyframe in them; where one names fewer, those named are the ones to
choose from. A file whose Cues are missing, leave more than half a minute out, or lead astray is read from end to end instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from workers.media.child.objectfile import ObjectFile
from workers.media.child.report import Report
from workers.media.costs import Range
from workers.media.readers.clusters import Block, locate
from workers.media.readers.excerpt import Excerpt
from workers.media.readers.matroska import Cue, Index, index_of
from workers.media.readers.opening import check_duration
from workers.media.readers.pieces import report_pieces
from workers.media.readers.places import Places
from workers.media.sampling import choose
from workers.media.wire import Job

LOOK_BYTES = 256
"""Enough of a cluster for its time and the header of its first block."""
LONGEST_LOOK_BYTES = 256 * 1024
HEADER_BYTES = 64
"""Room for the headers of a cluster and of a block."""


@dataclass(frozen=True, slots=True)
class CuedPiece:
    """A keyframe's block."""

    index: Index
    seconds: float
    block: Block
    position: None = None

    @property
    def ranges(self) -> Sequence[Range]:
        """The block, its header included."""
        return [(self.block.starts, self.block.ends)]

    def excerpt(self, bodies: Sequence[bytes]) -> Excerpt:
        """Make a file of one block."""
        return Excerpt([(0, self.index.file_of(cluster_time=self.block.cluster_time, block=bodies[0]))])


def report_cued(file: ObjectFile, job: Job, report: Report) -> None:
    """Choose among the keyframes that the Cues name and report each chosen one.

    Raises:
        UnusableIndexError: the Cues cannot be relied on; nothing is reported yet.
    """
    index = index_of(file)
    seconds = [index.seconds(cue) for cue in index.cues]
    check_duration(max(seconds) - min(seconds), job)
    chosen = choose(seconds, min_gap_seconds=job.min_gap_seconds, max_per_video=job.max_per_video)
    report_pieces(file, job, report, "matroska", _pieces(file, index, [index.cues[ordinal] for ordinal in chosen]))


def _pieces(file: ObjectFile, index: Index, cues: Sequence[Cue]) -> Sequence[CuedPiece]:
    places = Places(file, look_bytes=LOOK_BYTES, longest_bytes=LONGEST_LOOK_BYTES)
    places.plan(place for cue in cues for place in _looks(cue))
    return [CuedPiece(index, index.seconds(cue), locate(places, index, cue)) for cue in cues]


def _looks(cue: Cue) -> Sequence[int]:
    """Where to look for the time of the cue's cluster and for its block: that is mostly one place."""
    if cue.relative is None or cue.relative <= LOOK_BYTES - HEADER_BYTES:
        return [cue.cluster]
    return [cue.cluster, cue.cluster + cue.relative]
