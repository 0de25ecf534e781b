"""Keyframes of large MPEG transport streams, which have no index: one from each of as many places as keyframes may be chosen.

The places are evenly spaced in bytes, from the middle of the first part to the middle of the last. From each the stream is read on
until a keyframe is complete; it is the place's own if it begins before the next place. Where a place has none of its own, or one less
than the policy's gap after the one before (or earlier: time has begun anew), the file is read from end to end instead. So are files
with less than a mebibyte for each keyframe and files of which every keyframe may be chosen.

Most streams have their keyframes at equal distances. From the first place two of them are read; from the others on, what lies between
the place and where the next keyframe should be is passed over. Where there is none, the stream is read on from the place after all.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from av.error import FFmpegError

from workers.media.child.objectfile import ObjectFile
from workers.media.child.report import Report
from workers.media.child.unreadable import UnreadableError
from workers.media.child.unusable import UnusableIndexError
from workers.media.pictures.decoding import decode_alone
from workers.media.readers.growth import BUFFER_BYTES, LOOK_BYTES, MOST_HELD_BYTES, Found, Growth
from workers.media.readers.opening import Video, check_duration, open_video
from workers.media.readers.tables import SYNC, Tables, tables_of
from workers.media.sampling import ROUNDING_SECONDS
from workers.media.wire import Job

LEAST_BYTES = 1024 * 1024
"""Less than this from place to place is not worth leaping."""


def report_transport(file: ObjectFile, job: Job, report: Report) -> None:
    """Report a keyframe from each place.

    Raises:
        UnusableIndexError: the file is one to be read from end to end; nothing is reported yet.
    """
    most = job.max_per_video
    if not most or file.size_bytes < most * LEAST_BYTES:
        raise UnusableIndexError("The file is small, or every keyframe is wanted.")
    tables = tables_of(file.head)
    _check_step(file, tables)
    try:
        found = list(_found(file, Growth(file, job, tables, most), job, _places(file.size_bytes, most, tables.packet_bytes)))
        video = open_video(found[0].excerpt, "mpegts", job, tell_codec=report.codec, header_suffices=False, buffer_size=BUFFER_BYTES)
    except (FFmpegError, UnreadableError) as error:
        raise UnusableIndexError("A part of the stream makes no sense.") from error
    check_duration(found[-1].seconds - found[0].seconds, job)
    report.opened(video.stream.index, len(found))
    for index in report.wanted(len(found)):
        _report(video, report, index, found[index])


def _check_step(file: ObjectFile, tables: Tables) -> None:
    last = file.size_bytes // tables.packet_bytes * tables.packet_bytes - tables.packet_bytes
    if file.at(last, tables.packet_bytes)[tables.sync_at] != SYNC:
        raise UnusableIndexError("The packets do not keep step to the end.")


def _report(video: Video, report: Report, index: int, one: Found) -> None:
    try:
        report.frame(index, decode_alone(video, one.packet), one.packet, video)
    except UnreadableError as error:
        report.dead(index, one.seconds, error)


def _places(size: int, most: int, packet_bytes: int) -> Sequence[int]:
    """Where to begin, and the end of the file."""
    return [*((2 * part + 1) * size // (2 * most) // packet_bytes * packet_bytes for part in range(most)), size]


def _found(file: ObjectFile, growth: Growth, job: Job, places: Sequence[int]) -> Iterator[Found]:
    file.plan([(start, start + LOOK_BYTES) for start in places[:-1]])
    until, room = float("-inf"), MOST_HELD_BYTES
    for start, following in pairwise(places):
        one = growth.found(start, following)
        room -= one.packet.size
        if one.seconds - until < max(job.min_gap_seconds - ROUNDING_SECONDS, ROUNDING_SECONDS) or room < 0:
            raise UnusableIndexError("Keyframes lie close together, or time begins anew.")
        yield one
        until = one.seconds
