"""One video in one child, as its parent sees it: serves bytes, takes pictures, keeps the time, believes nothing."""

import select
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from os import WIFSIGNALED, WTERMSIG, waitstatus_to_exitcode
from typing import TypeVar

from pydantic import ValidationError

from schemas.errors import PermanentError
from schemas.reasons import Reason, Stage
from workers.keyframe import DeadFrame, Form, Keyframe, Picture
from workers.media import ByteSource, messages
from workers.media.forks.offspring import Child, ForkServerDiedError
from workers.media.wire import INBOX_BYTES, LENGTH, MAX_MESSAGE, SLOTS, Job
from workers.similarity import thumbnail

A = TypeVar("A")
R = TypeVar("R")
RE_READS = 8
"""A child may plan or ask for each byte this often: two passes, each planned and with a few looks back."""
SPARE_READ_BYTES = 64 * 1024 * 1024


class ChildLeftError(Exception):
    """The child ended before it was done."""


class ChildSlowError(Exception):
    """The child used up its time."""


class ChildLiedError(Exception):
    """The child said something it may not say."""


class Line:
    """The wire to a child. Every wait on it is the child's time, of which there is only so much."""

    def __init__(self, wire: socket.socket, *, seconds: float) -> None:
        self._wire = wire
        self._left = seconds
        self._readable, self._writable = _waiting(wire, select.POLLIN), _waiting(wire, select.POLLOUT)

    def hear(self) -> messages.Message:
        """Wait for the child's next message."""
        packet = self._when_it_can(self._readable, self._wire.recv, MAX_MESSAGE + 1)
        if not packet:
            raise ChildLeftError
        if len(packet) > MAX_MESSAGE:
            raise ChildLiedError("a message without end")
        try:
            return messages.parse(packet)
        except ValidationError as error:
            raise ChildLiedError("a message that makes no sense") from error

    def send(self, packet: bytes) -> None:
        """Send a packet that the child waits for."""
        self._when_it_can(self._writable, self._wire.send, packet)

    def _when_it_can(self, ready: select.poll, call: Callable[[A, int], R], what: A) -> R:
        """Try first: a message that is there already, as most are, costs one system call and none of the child's time."""
        while True:
            try:
                return call(what, socket.MSG_DONTWAIT)
            except BlockingIOError:
                self._wait(ready)
            except ConnectionError as error:
                raise ChildLeftError from error

    def _wait(self, ready: select.poll) -> None:
        begun = time.monotonic()
        if self._left <= 0 or not ready.poll(self._left * 1000):
            raise ChildSlowError
        self._left -= time.monotonic() - begun


def _waiting(wire: socket.socket, event: int) -> select.poll:
    poll = select.poll()
    poll.register(wire, event)
    return poll


class Session:
    """What has been said so far about one video, and what may be said next."""

    def __init__(
        self,
        child: Child,
        source: ByteSource,
        job: Job,
        *,
        deadline_seconds: float,
        form: Form,
        jpeg_quality: int,
        thumbnails: bool = False,
    ) -> None:
        self._child = child
        self._source = source
        self._job = job
        self._deadline_seconds = deadline_seconds
        self._form = form
        self._jpeg_quality = jpeg_quality
        self._thumbnails = thumbnails
        self._line = Line(child.conversation, seconds=deadline_seconds)
        self._budget = RE_READS * job.size_bytes + SPARE_READ_BYTES
        self._codec = ""
        self._opened: messages.Opened | None = None
        self._awaited: Iterator[int] = iter(())

    def frames(self) -> Iterator[Keyframe | DeadFrame]:
        """Hold the conversation to its end.

        Raises:
            PermanentError: the video cannot be read, or its child crashed, hung or misbehaved.
            ForkServerDiedError: the child was swept away with its fork server.
        """
        self._child.memory.forget_words()
        try:
            yield from self._frames()
        except PermanentError as error:
            error.codec = self._codec
            if error.stage is not Stage.FETCH:
                error.log_tail = error.log_tail or self._child.memory.words()
            raise

    def _frames(self) -> Iterator[Keyframe | DeadFrame]:
        try:
            self._hand_over([self._job.to_json()])
            yield from self._converse()
        except ChildLeftError as error:
            raise self._obituary() from error
        except ChildSlowError as error:
            message = f"The decoder did not finish within {self._deadline_seconds:g} seconds."
            raise PermanentError(Reason.DECODER_TIMEOUT, self._stage, message) from error
        except ChildLiedError as error:
            raise PermanentError(Reason.DECODER_CRASHED, self._stage, f"The decoder left its protocol: {error}.") from error

    @property
    def _stage(self) -> Stage:
        return Stage.PROBE if self._opened is None else Stage.DECODE

    def _converse(self) -> Iterator[Keyframe | DeadFrame]:
        while True:
            match self._line.hear():
                case messages.Plan() as plan:
                    self._hear(plan)
                case messages.Read() as read:
                    self._serve(read)
                case messages.Codec() as codec:
                    _hold(not self._codec, "a codec twice")
                    self._codec = codec.name
                case messages.Opened() as opened:
                    self._begin(opened)
                case messages.Frame() as frame:
                    yield self._take(frame)
                case messages.Dead() as dead:
                    yield self._bury(dead)
                case messages.Failed() as failed:
                    raise PermanentError(failed.reason, self._stage, failed.message, log_tail=failed.log_tail)
                case messages.Done() as done:
                    _hold(self._opened is not None and next(self._awaited, None) is None, "frames left untold")
                    self._child.may_rest = done.again
                    return

    def _hear(self, plan: messages.Plan) -> None:
        for start, end in plan.ranges:
            self._allow(start, end)
        self._source.plan(plan.ranges)

    def _serve(self, read: messages.Read) -> None:
        _hold(sum(end - start for start, end in read.ranges) <= INBOX_BYTES, "ranges too long")
        for start, end in read.ranges:
            self._allow(start, end)
        self._hand_over(self._source.read(start=start, end=end) for start, end in read.ranges)

    def _allow(self, start: int, end: int) -> None:
        self._budget -= end - start
        _hold(start < end <= self._job.size_bytes, "a range out of bounds")
        _hold(self._budget >= 0, "more reading than any video needs")

    def _hand_over(self, bodies: Iterable[bytes]) -> None:
        length = 0
        for body in bodies:
            self._child.memory.put(body, behind=length)
            length += len(body)
        self._line.send(LENGTH.pack(length))

    def _begin(self, opened: messages.Opened) -> None:
        _hold(self._opened is None, "opened twice")
        most = self._job.max_per_video
        _hold(most == 0 or opened.frames_chosen <= most + 1, "more frames than asked for")
        self._opened = opened
        indexes = range(opened.frames_chosen)
        self._awaited = iter(indexes if self._job.only_frames is None else [index for index in self._job.only_frames if index in indexes])

    def _next(self, index: int) -> messages.Opened:
        opened = self._opened
        if opened is None or next(self._awaited, None) != index:
            raise ChildLiedError("a frame out of turn")
        return opened

    def _take(self, frame: messages.Frame) -> Keyframe:
        opened = self._next(frame.index)
        _hold(frame.width <= self._job.max_width and frame.height <= self._job.max_height, "a picture out of bounds")
        _hold(frame.slot < SLOTS, "a slot out of bounds")
        pixels = self._child.memory.pixels(self._job.slot_at(frame.slot), width=frame.width, height=frame.height)
        picture = Picture.of(pixels, form=self._form, jpeg_quality=self._jpeg_quality, order=self._form.order)
        small = thumbnail(pixels, order=self._form.order) if self._thumbnails else None
        with suppress(ChildLeftError):  # it needs no slot
            self._line.send(bytes([frame.slot]))
        return Keyframe(
            frame_index=frame.index,
            frames_chosen=opened.frames_chosen,
            stream_index=opened.stream_index,
            pts=frame.pts,
            pts_seconds=frame.pts_seconds,
            duration_seconds=frame.duration_seconds,
            source_width=frame.source_width,
            source_height=frame.source_height,
            picture=picture,
            decode_seconds=frame.decode_seconds,
            thumbnail=small,
            codec=self._codec,
        )

    def _bury(self, dead: messages.Dead) -> DeadFrame:
        opened = self._next(dead.index)
        error = PermanentError(dead.reason, Stage.DECODE, dead.message, log_tail=dead.log_tail, codec=self._codec)
        return DeadFrame(frame_index=dead.index, frames_chosen=opened.frames_chosen, pts_seconds=dead.pts_seconds, error=error)

    def _obituary(self) -> PermanentError | ForkServerDiedError:
        """Say how a child ended that should not have."""
        status = self._child.reap()
        if status is None:
            return ForkServerDiedError()
        if not WIFSIGNALED(status):
            return PermanentError(Reason.DECODER_CRASHED, self._stage, f"The decoder left with exit code {waitstatus_to_exitcode(status)}.")
        name = signal.Signals(WTERMSIG(status)).name
        if WTERMSIG(status) == signal.SIGXCPU:
            message = f"The decoder used more than {self._job.cpu_seconds} seconds of CPU."
            return PermanentError(Reason.DECODER_TIMEOUT, self._stage, message, signal=name)
        if WTERMSIG(status) == signal.SIGSYS:
            message = "The decoder tried what it may not (SIGSYS): the file is an attack, or a library needs a call that the filter lacks."
            return PermanentError(Reason.DECODER_CRASHED, self._stage, message, signal=name)
        return PermanentError(Reason.DECODER_CRASHED, self._stage, f"The decoder died of {name}.", signal=name)


def _hold(truth: bool, otherwise: str) -> None:  # noqa: FBT001 - an assertion that stays in optimised code
    if not truth:
        raise ChildLiedError(otherwise)
