"""Nothing in a file may read, connect, crash the parent or outlast its limits; and whatever it is, it ends with a reason."""

import ctypes
import os
import resource
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clips
import hostile
import pytest
from clips import Bytes
from hostile import KINDS, Trap
from processes import children_of, zygotes

from schemas.errors import PermanentError
from schemas.reasons import Reason
from schemas.recipe import ImageSize, KeyframePolicy
from workers.keyframe import Keyframe
from workers.media import ByteSource, Limits
from workers.media.sandbox import Decoder

SMALL = Limits(deadline_seconds=10, cpu_seconds=3, memory_bytes=256 << 20)
POLICY = KeyframePolicy(min_gap_seconds=0, max_per_video=8)
GROWTH_MB = 150
"""What the corpus may add to the parent's memory at its peak."""
IN_OPEN = 0x20


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    """A decoder with small limits; at the end it has no child left, and the parent no more memory than before."""
    before, known = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, set(zygotes())
    with Decoder(limits=SMALL) as decoder:
        yield decoder
        (zygote,) = set(zygotes()) - known
        assert children_of(zygote) == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH_MB * 1024


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Trap]:
    """A canary and a listening port; at the end nobody has opened the one or knocked at the other."""
    canary = tmp_path / "canary.mp4"
    canary.write_bytes(clips.make(clips.Clip(frames=2)))
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(watch, os.fsencode(canary), IN_OPEN) >= 0
    canary.read_bytes()
    assert os.read(watch, 4096), "the trap itself must spring"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield Trap(str(canary), listener.getsockname()[1])
        with pytest.raises(BlockingIOError):
            listener.accept()
    with pytest.raises(BlockingIOError):
        os.read(watch, 4096)
    os.close(watch)


def outcome(decoder: Decoder, source: ByteSource) -> str:
    """Decode what can be decoded, and say how it ended: by a reason of the closed list, or `captioned`."""
    try:
        frames = list(decoder.keyframes(source, policy=POLICY, image=ImageSize()))
    except PermanentError as error:
        return f"{error.reason}{' ' + error.signal if error.signal else ''}"
    dead = [frame.error.reason for frame in frames if not isinstance(frame, Keyframe)]
    return f"captioned, some frames {dead[0]}" if dead else "captioned"


ENDINGS = {*Reason, "captioned"}


def outcomes(decoder: Decoder, bodies: Iterable[bytes]) -> Counter[str]:
    with ThreadPoolExecutor(2) as pool:
        seen = Counter(pool.map(lambda body: outcome(decoder, Bytes(body)), bodies))
    assert {ended.split(",")[0].split()[0] for ended in seen} <= ENDINGS
    return seen


def test_texts_that_point_elsewhere_open_nothing(decoder: Decoder, trap: Trap) -> None:
    seen = {name: outcome(decoder, Bytes(text)) for name, text in hostile.playlists(trap).items()}
    assert {name: ended for name, ended in seen.items() if ended not in {Reason.NOT_A_VIDEO, Reason.TRUNCATED}} == {}


def test_data_outside_the_file_are_not_fetched(decoder: Decoder, trap: Trap) -> None:
    for name, clip in hostile.references(trap).items():
        assert outcome(decoder, Bytes(clip)).startswith(("captioned", Reason.CORRUPT, Reason.TRUNCATED)), name


ABSURD = {
    "65535 x 65535 pixels, mp4": {"captioned"},  # the stream itself says how large it is
    "65535 x 65535 pixels, avi": {"captioned"},
    "65535 x 65535 pixels, in the codec": {f"captioned, some frames {Reason.TOO_LARGE}", f"captioned, some frames {Reason.CORRUPT}"},
    "2^31 seconds": {Reason.TOO_LONG},
    "a million samples, none of them key": {Reason.NO_KEYFRAME},
    "boxes without end": {Reason.TRUNCATED},
    "a box within a box within a box": {Reason.CORRUPT, Reason.NO_VIDEO_STREAM},
    "an ebml head that says it is endless": {Reason.CORRUPT, Reason.NOT_A_VIDEO, Reason.TRUNCATED},
}


@pytest.mark.parametrize("name", hostile.absurdities())
def test_a_header_that_promises_too_much_costs_nothing(name: str, decoder: Decoder) -> None:
    assert outcome(decoder, Bytes(hostile.absurdities()[name]())) in ABSURD[name]


def test_pictures_that_change_their_size_in_mid_stream_are_each_right_or_dead(decoder: Decoder) -> None:
    assert outcome(decoder, Bytes(hostile.changing_dimensions())).startswith("captioned")


def test_a_stream_without_end_is_given_up(decoder: Decoder) -> None:
    assert outcome(decoder, hostile.Endless()).split()[0] in {Reason.DECODER_TIMEOUT, Reason.TOO_LONG, Reason.DECODER_CRASHED}


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_cut_at_any_percent_ends_with_a_reason(kind: str, decoder: Decoder) -> None:
    seen = outcomes(decoder, hostile.truncations(clips.make(KINDS[kind])))
    assert sum(seen.values()) == len(hostile.TRUNCATIONS)
    assert not [ended for ended in seen if ended.startswith(("decoder", "engine", "object"))], seen


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_with_flipped_bytes_ends_with_a_reason(kind: str, decoder: Decoder) -> None:
    seen = outcomes(decoder, hostile.mutants(clips.make(KINDS[kind]), kind))
    assert sum(seen.values()) == hostile.FLIPS
    assert not [ended for ended in seen if ended.startswith(("engine", "object"))], seen
