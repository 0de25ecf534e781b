"""Keyframes that an index leads to, one piece of the object each: only those are read, and FFmpeg demuxes each on its own.

A piece is demuxed out of a file made of the container's header and the piece: time stamps, parameters and side data are FFmpeg's own.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from av.error import FFmpegError

from schemas.reasons import Reason
from workers.media.child.objectfile import ObjectFile
from workers.media.child.report import Report
from workers.media.child.unreadable import UnreadableError
from workers.media.child.unusable import UnusableIndexError
from workers.media.costs import Range
from workers.media.pictures.decoding import decode_alone, refuse_encrypted
from workers.media.readers.excerpt import Excerpt
from workers.media.readers.opening import Video, VideoPacket, open_to_demux, open_video
from workers.media.wire import Job

VERIFIED = 2
"""Keyframes that are demuxed before the index is believed."""
BUFFER_BYTES = 64 * 1024


class Piece(Protocol):
    """Where a chosen keyframe lies."""

    @property
    def seconds(self) -> float:
        """When the index says that it is shown."""

    @property
    def ranges(self) -> Sequence[Range]:
        """What is read of the object for it, ascending."""

    @property
    def position(self) -> int | None:
        """Where in the excerpt its packet begins, if other keyframes may come before it."""

    def excerpt(self, bodies: Sequence[bytes]) -> Excerpt:
        """Make a file with this keyframe and, but for what is of no account, nothing else."""


class Reel:
    """Pieces of an object, and the decoder that they all go through."""

    def __init__(self, file: ObjectFile, job: Job, demuxer: str, pieces: Sequence[Piece], *, tell_codec: Callable[[str], None]) -> None:
        self._file = file
        self._job = job
        self._demuxer = demuxer
        self._pieces = pieces
        self.plan(range(min(VERIFIED, len(pieces))))
        self._first = [self._excerpt(piece) for piece in pieces[:VERIFIED]]
        self.video = open_video(self._first[0], demuxer, job, tell_codec=tell_codec, header_suffices=False, buffer_size=BUFFER_BYTES)

    def plan(self, indexes: Iterable[int]) -> None:
        """Announce the bytes of these pieces."""
        self._file.plan([one for index in indexes for one in self._pieces[index].ranges])

    def packet(self, index: int) -> VideoPacket:
        """Demux the piece's keyframe.

        Raises:
            UnreadableError: it is encrypted, or no keyframe.
        """
        piece = self._pieces[index]
        excerpt = self._first[index] if index < len(self._first) else self._excerpt(piece)
        try:
            packet = _key_packet(open_to_demux(excerpt, self._demuxer, self._job, buffer_size=BUFFER_BYTES), piece)
        except (FFmpegError, StopIteration) as error:
            raise UnreadableError(Reason.CORRUPT, f"The file's index leads to no keyframe: {error}") from error
        except UnreadableError as error:
            raise UnreadableError(Reason.CORRUPT, str(error)) from error  # the whole file was fit to be read
        refuse_encrypted(packet)
        return packet

    def _excerpt(self, piece: Piece) -> Excerpt:
        return piece.excerpt([self._file.at(start, end - start) for start, end in piece.ranges])


def _key_packet(video: Video, piece: Piece) -> VideoPacket:
    packets = video.container.demux(video.stream)
    return next(packet for packet in packets if packet.size and packet.is_keyframe and piece.position in {None, packet.pos})


def report_pieces(file: ObjectFile, job: Job, report: Report, demuxer: str, pieces: Sequence[Piece]) -> None:
    """Report the chosen keyframes.

    Raises:
        UnusableIndexError: the first of them are no keyframes; nothing is reported yet.
    """
    try:
        reel = Reel(file, job, demuxer, pieces, tell_codec=report.codec)
    except FFmpegError as error:
        raise UnusableIndexError("The index leads to nothing that FFmpeg knows.") from error
    for index in range(min(VERIFIED, len(pieces))):
        _verify(reel, index)
    report.opened(reel.video.stream.index, len(pieces))
    wanted = report.wanted(len(pieces))
    reel.plan(index for index in wanted if index >= VERIFIED)
    for index in wanted:
        try:
            packet = reel.packet(index)
            report.frame(index, decode_alone(reel.video, packet), packet, reel.video)
        except UnreadableError as error:
            report.dead(index, pieces[index].seconds, error)


def _verify(reel: Reel, index: int) -> None:
    try:
        reel.packet(index)
    except UnreadableError as error:
        if error.reason is not Reason.ENCRYPTED:
            raise UnusableIndexError(str(error)) from error
        raise
