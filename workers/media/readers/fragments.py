"""Where a fragmented MP4's fragments are: by its `sidx`, by its `mfra`, or by going from one to the next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from workers.media.child.objectfile import ObjectFile
from workers.media.child.unusable import UnusableIndexError
from workers.media.readers.boxes import HEADER_BYTES, Box, Fields, box, children
from workers.media.readers.movie import Movie, movie_of
from workers.media.readers.places import Places

MOST_HEADER_BYTES = 4 * 1024 * 1024
MOST_INDEX_BYTES = 4 * 1024 * 1024
MOST_MOOF_BYTES = 4 * 1024 * 1024
MOST_BOXES_BEFORE = 64
MFRO_BYTES = 16
TAIL_BYTES = 4 * 1024
"""What is read at the file's end to find `mfro`: mostly all of `mfra` comes along."""
REFERS_TO_INDEX = 1 << 31
LONGEST_GAP_SECONDS = 30.0
"""A table of keyframes that leaves out more than this at once does not name every fragment."""
LARGE_BYTES = 128 * 1024
"""Fragments larger than this on average are worth going from one to the next, a request each; of smaller ones the whole file is read."""
TRIAL = 8
"""Fragments that tell the average."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the file that begins with a fragment (or a few small boxes and a fragment), and when it is shown."""

    starts: int
    ends: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Moof:
    """Where a fragment's `moof` lies."""

    starts: int
    ends: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A fragmented file: its header, where its fragments are, and what tells so."""

    movie: Movie
    body: Span
    """All fragments."""
    spans: Sequence[Span]
    """Parts of it that an index names, in the order of the file; none if there is no index."""
    moof_bytes: int
    """The size of the first `moof`."""


def layout_of(file: ObjectFile) -> Layout:
    """Read the file's header and its index.

    Raises:
        UnusableIndexError: it is no plain fragmented video.
    """
    moov, sidxes, first = _front(file)
    movie = movie_of(file.at(0, moov.ends), moov)
    spans = _by_sidx(file, movie, sidxes) or _by_mfra(file, movie, first)
    ends = max(spans[-1].ends, first.ends) if spans else file.size_bytes
    return Layout(movie, Span(first.starts, ends, 0.0), spans, first.ends - first.starts)


def _front(file: ObjectFile) -> tuple[Box, Sequence[Box], Box]:
    """The `moov`, each `sidx`, and the first `moof`."""
    before = list(islice(_until_moof(file), MOST_BOXES_BEFORE))
    moovs = [one for one in before if one.kind == b"moov"]
    if len(moovs) != 1 or moovs[0].ends > MOST_HEADER_BYTES or before[-1].kind != b"moof":
        raise UnusableIndexError("The file does not begin as fragmented ones do.")
    return moovs[0], [one for one in before if one.kind == b"sidx"], before[-1]


def _until_moof(file: ObjectFile) -> Iterator[Box]:
    position, kind = 0, b""
    while kind != b"moof":
        one = box(file.at(position, HEADER_BYTES), base=position, limit=file.size_bytes)
        if one is None or one.ends > file.size_bytes:
            raise UnusableIndexError("The file ends early.")
        yield one
        position, kind = one.ends, one.kind


def _by_sidx(file: ObjectFile, movie: Movie, sidxes: Sequence[Box]) -> Sequence[Span]:
    """What a segment index says, if it tells of the whole file."""
    for sidx in sidxes:
        body = file.at(sidx.starts, min(sidx.ends - sidx.starts, MOST_INDEX_BYTES))
        spans = _references(body, sidx, movie)
        if spans and _ends_there(file, spans[-1].ends):
            return spans
    return []


def _references(body: bytes, sidx: Box, movie: Movie) -> Sequence[Span]:
    fields = Fields(body, Box(b"sidx", 0, sidx.begins - sidx.starts, len(body)))
    number, scale = fields.take(4), fields.take(4)
    ticks, position = fields.wide(), sidx.ends + fields.wide()
    fields.take(2)
    spans = []
    for _ in range(fields.take(2)):
        reference, duration, _ = fields.take(4), fields.take(4), fields.take(4)
        if reference & REFERS_TO_INDEX or number != movie.track or not scale or not reference:
            return []
        spans.append(Span(position, position + reference, ticks / scale))
        ticks, position = ticks + duration, position + reference
    return spans


def _ends_there(file: ObjectFile, position: int) -> bool:
    """Whether nothing but tables follows."""
    if position >= file.size_bytes:
        return position == file.size_bytes
    after = box(file.at(position, HEADER_BYTES), base=position, limit=file.size_bytes)
    return after is not None and after.kind in {b"mfra", b"free", b"skip"} and after.ends == file.size_bytes


def _by_mfra(file: ObjectFile, movie: Movie, first: Box) -> Sequence[Span]:
    """What the table at the file's end says, if it names a fragment every now and then."""
    mfro = file.at(max(0, file.size_bytes - TAIL_BYTES), TAIL_BYTES)[-MFRO_BYTES:]
    size = int.from_bytes(mfro[-4:])
    if mfro[4:8] != b"mfro" or not MFRO_BYTES < size <= min(MOST_INDEX_BYTES, file.size_bytes):
        return []
    body = file.at(file.size_bytes - size, size)
    mfra = box(body, base=0, limit=size)
    if mfra is None or mfra.kind != b"mfra" or mfra.ends != size:
        return []
    for tfra in children(body, mfra.begins, mfra.ends):
        spans = _entries(Fields(body, tfra), movie, file.size_bytes - size) if tfra.kind == b"tfra" else []
        if spans and spans[0].starts == first.starts:
            return spans if max((b.seconds - a.seconds for a, b in pairwise(spans)), default=0) <= LONGEST_GAP_SECONDS else []
    return []


def _entries(fields: Fields, movie: Movie, ends: int) -> Sequence[Span]:
    number, lengths, count = fields.take(4), fields.take(4), fields.take(4)
    if number != movie.track:
        return []
    rest = sum((lengths >> shift & 3) + 1 for shift in (4, 2, 0))
    found: dict[int, int] = {}
    for _ in range(count):
        time, starts = fields.wide(), fields.wide()
        fields.take(rest)
        found.setdefault(starts, time)
    places = [*sorted(found), ends]
    if places[-2:] != sorted(places[-2:]):
        return []
    return [Span(starts, following, found[starts] / movie.scale) for starts, following in pairwise(places)]


def moofs(places: Places, span: Span) -> Iterator[Moof]:
    """Go from fragment to fragment.

    Raises:
        UnusableIndexError: the way leads astray.
    """
    position = span.starts
    while position < span.ends:
        one = box(places.at(position, HEADER_BYTES), base=position, limit=places.file.size_bytes)
        if one is None or one.ends > span.ends or one.kind == b"moov":
            raise UnusableIndexError("Fragments do not follow each other.")
        if one.kind == b"moof":
            if one.ends - one.starts > MOST_MOOF_BYTES:
                raise UnusableIndexError("A fragment has too many samples.")
            yield Moof(one.starts, one.ends)
        position = one.ends


def are_large(places: Places, body: Span) -> bool:
    """Say whether going from one fragment to the next takes less than reading all of them."""
    first = [moof.starts for moof in islice(moofs(places, body), TRIAL + 1)]
    last = first[-1] if len(first) > TRIAL else body.ends
    return last - first[0] >= LARGE_BYTES * min(len(first), TRIAL)
