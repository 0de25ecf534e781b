"""What a fragmented MP4's `moov` says of its video track, and what each `moof` says of the track's samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workers.media.child.unusable import UnusableIndexError
from workers.media.readers.boxes import Box, Fields, box, children, inner

NON_SYNC, DEPENDS_ON_OTHERS = 0x00010000, 0x01000000
"""Flags of a sample that is no keyframe, as FFmpeg reads them."""
BASE_OFFSET, DESCRIPTION, DURATION, SIZE, FLAGS, BASE_IS_MOOF = 0x1, 0x2, 0x8, 0x10, 0x20, 0x20000
"""What a `tfhd` may hold."""
DATA_OFFSET, FIRST_FLAGS, EACH_DURATION, EACH_SIZE, EACH_FLAGS, EACH_OFFSET = 0x1, 0x4, 0x100, 0x200, 0x400, 0x800
"""What a `trun` may hold."""
MOST_SAMPLES = 1_000_000
"""Samples of one fragment."""
NEGATIVE = 1 << 31
NONE = -1
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for a sample of which nothing else is said."""

    duration: int
    size: int
    flags: int


@dataclass(frozen=True, slots=True)
class Movie:
    """The only video track of a file whose samples all lie in fragments."""

    header: bytes
    """The file up to the end of its `moov`."""
    track: int
    scale: int
    """Ticks a second."""
    defaults: Defaults


@dataclass(frozen=True, slots=True)
class Key:
    """A keyframe in a fragment: its time in the track's ticks, but for a constant, and where its bytes are."""

    time: int
    starts: int
    ends: int
    is_first: bool
    """Whether the fragment's video begins with it."""


def movie_of(header: bytes, moov: Box) -> Movie:
    """Read the file's header.

    Raises:
        UnusableIndexError: it is none of a plain fragmented video.
    """
    traks = [trak for trak in children(header, moov.begins, moov.ends) if trak.kind == b"trak" and _handler(header, trak) == b"vide"]
    if len(traks) != 1:
        raise UnusableIndexError("There is not one video track.")
    tkhd = Fields(header, inner(header, traks[0], b"tkhd"))
    tkhd.wide(), tkhd.wide()
    track = tkhd.take(4)
    _check_samples(header, inner(header, traks[0], b"mdia", b"minf", b"stbl"))
    mdhd = Fields(header, inner(header, traks[0], b"mdia", b"mdhd"))
    mdhd.wide(), mdhd.wide()
    scale = mdhd.take(4)
    if not scale:
        raise UnusableIndexError("The track has no clock.")
    return Movie(header, track, scale, _defaults(header, inner(header, moov, b"mvex"), track))


def _handler(header: bytes, trak: Box) -> bytes:
    fields = Fields(header, inner(header, trak, b"mdia", b"hdlr"))
    fields.take(4)
    return fields.take(4).to_bytes(4)


def _check_samples(header: bytes, stbl: Box) -> None:
    """Leave to FFmpeg what it reads in several ways: more than one kind of sample, encrypted ones, and some outside of fragments."""
    stsd = inner(header, stbl, b"stsd")
    fields = Fields(header, stsd)
    kinds = fields.take(4)
    fields.take(4)
    if kinds != 1 or fields.take(4).to_bytes(4) == b"encv" or Fields(header, inner(header, stbl, b"stts")).take(4):
        raise UnusableIndexError("The track is no plain fragmented one.")


def _defaults(header: bytes, mvex: Box, track: int) -> Defaults:
    for trex in children(header, mvex.begins, mvex.ends):
        if trex.kind == b"trex":
            fields = Fields(header, trex)
            number, _, duration, size, flags = (fields.take(4) for _ in range(5))
            if number == track:
                return Defaults(duration, size, flags)
    raise UnusableIndexError("The track has no fragments.")


def keys_of(movie: Movie, moof: bytes, *, at: int) -> Sequence[Key]:
    """List the keyframes of the fragment whose `moof` lies `at` this place.

    Raises:
        UnusableIndexError: it is broken, or leaves to the fragments before it what FFmpeg needs to know.
    """
    outer = box(moof, base=0, limit=len(moof))
    if outer is None or outer.kind != b"moof" or outer.ends > len(moof):
        raise UnusableIndexError("There is no fragment where one should be.")
    trafs = [one for one in children(moof, outer.begins, outer.ends) if one.kind == b"traf"]
    ours = [traf for traf in trafs if Fields(moof, inner(moof, traf, b"tfhd")).take(4) == movie.track]
    if not ours:
        return []
    if len(ours) > 1:
        raise UnusableIndexError("A fragment holds the track twice.")
    return list(_keys(movie, moof, ours[0], at=at, is_first_traf=ours[0] is trafs[0]))


def _keys(movie: Movie, moof: bytes, traf: Box, *, at: int, is_first_traf: bool) -> Iterator[Key]:
    tfhd = Fields(moof, inner(moof, traf, b"tfhd"))
    tfhd.take(4)
    if not (tfhd.flags & (BASE_OFFSET | BASE_IS_MOOF) or is_first_traf):
        raise UnusableIndexError("A fragment's place depends on another track's.")
    base = tfhd.take_if(BASE_OFFSET, 8, at)
    tfhd.take_if(DESCRIPTION, 4, 1)
    usual = movie.defaults
    defaults = Defaults(tfhd.take_if(DURATION, 4, usual.duration), tfhd.take_if(SIZE, 4, usual.size), tfhd.take_if(FLAGS, 4, usual.flags))
    time, samples = Fields(moof, inner(moof, traf, b"tfdt")).wide(), 0
    for trun in (child for child in children(moof, traf.begins, traf.ends) if child.kind == b"trun"):
        run = _run(Fields(moof, trun), defaults, base)
        if run.starts < at + len(moof):
            raise UnusableIndexError("Samples lie before their fragment.")
        yield from run.keys(time, samples)
        time, samples = time + int(run.durations.sum()), samples + len(run.durations)
        if samples > MOST_SAMPLES:
            raise UnusableIndexError("A fragment has too many samples.")


@dataclass(frozen=True, slots=True)
class Run:
    """Samples that lie one behind the other: what the file says of each."""

    starts: int
    durations: Numbers
    sizes: Numbers
    flags: Numbers
    offsets: Numbers
    """How much later than decoded each is shown."""

    def keys(self, time: int, samples_before: int) -> Iterator[Key]:
        """The keyframes among them."""
        shown = np.cumsum(self.durations) - self.durations + self.offsets
        ends = np.cumsum(self.sizes)
        for one in np.flatnonzero((self.flags & (NON_SYNC | DEPENDS_ON_OTHERS) == 0) & (self.sizes > 0)).tolist():
            end = self.starts + int(ends[one])
            yield Key(time + int(shown[one]), end - int(self.sizes[one]), end, is_first=one + samples_before == 0)


def _run(fields: Fields, defaults: Defaults, base: int) -> Run:
    count = fields.take(4)
    if count > MOST_SAMPLES or not fields.flags & DATA_OFFSET:
        raise UnusableIndexError("A run of samples is endless, or nowhere.")
    starts = base + fields.take(4, signed=True)
    first_flags = fields.take_if(FIRST_FLAGS, 4, NONE)
    columns = [flag for flag in (EACH_DURATION, EACH_SIZE, EACH_FLAGS, EACH_OFFSET) if fields.flags & flag]
    table = np.frombuffer(fields.raw(4 * len(columns) * count), ">u4").reshape(count, len(columns)).astype(np.int64)

    def column(flag: int, otherwise: int) -> Numbers:
        return table[:, columns.index(flag)] if flag in columns else np.full(count, otherwise, np.int64)

    run = Run(
        starts,
        column(EACH_DURATION, defaults.duration),
        column(EACH_SIZE, defaults.size),
        column(EACH_FLAGS, defaults.flags),
        column(EACH_OFFSET, 0),
    )
    if (run.offsets >= NEGATIVE).any():
        raise UnusableIndexError("FFmpeg would want to know the fragments before.")
    if first_flags != NONE:
        run.flags[:1] = first_flags
    return run
