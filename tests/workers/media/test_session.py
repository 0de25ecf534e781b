"""A child that has been taken over says what it likes: here the test is that child."""

import json
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
from clips import Bytes

from schemas.errors import PermanentError
from schemas.reasons import Reason, Stage
from workers.keyframe import DeadFrame, Form
from workers.media import ByteSource
from workers.media.forks.sharedmemory import SharedMemory
from workers.media.messages import Done
from workers.media.session import ChildSlowError, Line, Session
from workers.media.wire import INBOX_BYTES, LENGTH, LOG_AT, LOG_BYTES, MOST_PLANNED, SLOTS, Job

JOB = Job(
    size_bytes=100,
    min_gap_seconds=0,
    max_per_video=4,
    max_width=8,
    max_height=8,
    only_frames=None,
    cpu_seconds=1,
    memory_bytes=1,
    max_pixels=1000,
    max_duration_seconds=10,
)
CODEC = {"kind": "codec", "name": "h264"}
OPENED = {"kind": "opened", "stream_index": 0, "frames_chosen": 2}
FRAME = {
    "kind": "frame",
    "index": 0,
    "slot": 1,
    "width": 8,
    "height": 4,
    "source_width": 80,
    "source_height": 40,
    "pts": 0,
    "pts_seconds": 0.0,
    "duration_seconds": None,
    "decode_seconds": 0.1,
}
DEAD = {"kind": "dead_frame", "index": 1, "pts_seconds": None, "reason": "corrupt", "message": "no", "log_tail": ""}
DONE = {"kind": "done"}
LIES = {
    "no JSON": [b"\x80abc"],
    "an unknown kind": [{"kind": "exec", "path": "/bin/sh"}],
    "one key too many": [OPENED | {"more": 1}],
    "a plan past the end": [{"kind": "plan", "ranges": [[0, 101]]}],
    "a plan of nothing": [{"kind": "plan", "ranges": []}],
    "a plan without end": [{"kind": "plan", "ranges": [[0, 1]] * (MOST_PLANNED + 1)}],
    "planning without end": [{"kind": "plan", "ranges": [[0, 100]]}] * 7,
    "a range past the end": [{"kind": "read", "ranges": [[0, 101]]}],
    "a range turned around": [{"kind": "read", "ranges": [[50, 50]]}],
    "a range that takes another's bytes off": [{"kind": "read", "ranges": [[0, 100], [100, 0]]}],
    "a range of everything": [{"kind": "read", "ranges": [[0, INBOX_BYTES + 1]]}],
    "ranges of everything": [{"kind": "read", "ranges": [[0, INBOX_BYTES], [0, 1]]}],
    "ranges of nothing": [{"kind": "read", "ranges": []}],
    "ranges without end": [{"kind": "read", "ranges": [[0, 1]] * (MOST_PLANNED + 1)}],
    "reading without end": [{"kind": "read", "ranges": [[0, 100]]}] * 7,
    "a frame before the video": [FRAME],
    "more frames than asked for": [OPENED | {"frames_chosen": 6}],
    "no frames": [OPENED | {"frames_chosen": 0}],
    "opened twice": [OPENED, OPENED],
    "a codec twice": [CODEC, CODEC],
    "a codec by a name that no codec has": [CODEC | {"name": "h264\u001b[31m"}],
    "a codec without a name": [CODEC | {"name": ""}],
    "a codec with a name without end": [CODEC | {"name": "h" * 33}],
    "a frame out of turn": [OPENED, FRAME | {"index": 1}],
    "a frame twice": [OPENED, FRAME, FRAME],
    "a slot that is not there": [OPENED, FRAME | {"slot": SLOTS}],
    "a picture too wide": [OPENED, FRAME | {"width": 9, "height": 1}],
    "a picture of nothing": [OPENED, FRAME | {"height": 0}],
    "a time that is no number": [OPENED, json.dumps(FRAME).replace("0.0", "NaN").encode()],
    "a reason that is not the child's to give": [OPENED, FRAME, DEAD | {"reason": "object_gone"}],
    "done too early": [OPENED, FRAME, DONE],
    "a message without end": [b" " * 20_000],
    "words without end": [{"kind": "failed", "reason": "corrupt", "message": "x" * 5000}],
}


@dataclass
class Lost:
    """An object that cannot be read."""

    error: PermanentError
    size_bytes: int = 100

    def plan(self, _ranges: Iterable[tuple[int, int]]) -> None:
        pass

    def read(self, **_places: int) -> bytes:
        raise self.error


class Remembering(SharedMemory):
    """A memory with words in it: of the video before, until they are forgotten, and then of this one's child."""

    def __init__(self, size_bytes: int, words: bytes) -> None:
        super().__init__(size_bytes)
        self._words = words
        self._mapped[LOG_AT : LOG_AT + LENGTH.size + 3] = LENGTH.pack(3) + b"old"

    def forget_words(self) -> None:
        super().forget_words()
        self._mapped[LOG_AT : LOG_AT + len(self._words)] = self._words


@dataclass
class Puppet:
    """A child played by the test."""

    script: list[dict[str, object] | bytes]
    status: int | None = 0
    words: bytes = b""
    """What it leaves behind as FFmpeg's last words, while it talks."""

    def __post_init__(self) -> None:
        self.memory = Remembering(JOB.memory_size, self.words)
        self.may_rest = False
        self.conversation, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for line in self.script:
            self.far.send(line if isinstance(line, bytes) else json.dumps(line).encode())
        self.far.shutdown(socket.SHUT_WR)

    def reap(self) -> int | None:
        return self.status

    def close(self) -> None:
        self.conversation.close()
        self.far.close()
        self.memory.close()


@pytest.fixture
def hold(request: pytest.FixtureRequest) -> Callable[..., object]:
    def converse(script: list[dict[str, object] | bytes], *, source: ByteSource = Bytes(bytes(100)), **puppet):  # noqa: B008
        child = Puppet(script, **puppet)
        request.addfinalizer(child.close)
        small = Session(child, source, JOB, deadline_seconds=5, form=Form.RGB, jpeg_quality=90)
        small._budget = 600
        return list(small.frames())

    return converse


@pytest.mark.parametrize("lie", LIES)
def test_a_child_that_lies_is_found_out(lie: str, hold) -> None:
    with pytest.raises(PermanentError) as caught:
        hold(LIES[lie])
    assert caught.value.reason is Reason.DECODER_CRASHED
    assert "left its protocol" in str(caught.value)


def test_a_child_that_keeps_to_the_protocol_is_believed(hold) -> None:
    frame, dead = hold(
        [{"kind": "read", "ranges": [[0, 60], [60, 100]]}, OPENED, FRAME, DEAD | {"message": "bad\x1b[31m", "log_tail": "a\nb"}, DONE]
    )
    assert (frame.picture.width, frame.picture.height, len(frame.picture.body)) == (8, 4, 96)
    assert isinstance(dead, DeadFrame)
    assert (str(dead.error), dead.error.log_tail) == ("bad?[31m", "a\nb")


def test_a_child_that_leaves_is_named_by_how_it_left(hold) -> None:
    with pytest.raises(PermanentError, match="exit code 3"):
        hold([OPENED], status=3 << 8)
    with pytest.raises(PermanentError, match="SIGABRT"):
        hold([OPENED], status=6)


@pytest.mark.parametrize(
    ("script", "codec"),
    [
        ([], ""),
        ([CODEC], "h264"),
        ([CODEC, OPENED], "h264"),
        ([CODEC, {"kind": "failed", "reason": "too_large", "message": "big"}], "h264"),
    ],
)
def test_an_error_names_the_codec_as_soon_as_the_container_was_open(script: list[dict[str, object]], codec: str, hold) -> None:
    with pytest.raises(PermanentError) as caught:
        hold(script, status=11)
    assert caught.value.codec == codec


def test_frames_captioned_and_dead_name_their_codec(hold) -> None:
    frame, dead = hold([CODEC, OPENED, FRAME, DEAD, DONE])
    assert (frame.codec, dead.error.codec) == ("h264", "h264")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (b"", ""),
        (LENGTH.pack(4) + b"oops, and more", "oops"),
        (LENGTH.pack(7) + b"a\x1b[31m\xff", "a?[31m\ufffd"),
        (LENGTH.pack(2**32 - 1) + b"long" * LOG_BYTES, None),
    ],
)
def test_a_child_that_dies_leaves_ffmpegs_last_words_and_never_those_of_the_video_before(words: bytes, told: str | None, hold) -> None:
    with pytest.raises(PermanentError) as caught:
        hold([OPENED], status=11, words=words[:LOG_BYTES])
    tail = caught.value.log_tail
    assert tail == told if told is not None else len(tail) == LOG_BYTES - LENGTH.size


def test_a_source_that_fails_is_not_told_in_ffmpegs_words(hold) -> None:
    gone = PermanentError(Reason.OBJECT_GONE, Stage.FETCH, "gone")
    with pytest.raises(PermanentError) as caught:
        hold([CODEC, {"kind": "read", "ranges": [[0, 1]]}], words=LENGTH.pack(4) + b"oops", source=Lost(gone))
    assert (caught.value.log_tail, caught.value.codec) == ("", "h264")


def test_a_message_that_is_there_costs_none_of_the_childs_time_and_waiting_does() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        far.send(json.dumps(DONE).encode())
        line = Line(near, seconds=0.0)
        assert isinstance(line.hear(), Done)
        with pytest.raises(ChildSlowError):
            line.hear()
