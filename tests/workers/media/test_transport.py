from collections.abc import Iterator

import clips
import pytest
from clips import Clip
from readings import by_index, by_reading_all

from workers.media.child.unreadable import UnreadableError
from workers.media.child.unusable import UnusableIndexError
from workers.media.readers.tables import tables_of
from workers.media.readers.transport import LEAST_BYTES

FILL = {"muxrate": "6000000"}
PLACES = 4


@pytest.fixture(scope="module")
def stream() -> bytes:
    """Some megabytes, most of which are there to keep the rate."""
    clip = clips.make(Clip(container="mpegts", frames=100, gop=5, options=FILL))
    assert len(clip) > PLACES * LEAST_BYTES
    return clip


def keyframes(clip: bytes) -> dict[int, tuple[float, bytes]]:
    return {pts: (seconds, picture) for _, pts, seconds, picture in by_reading_all(clip).frames}


def test_each_place_gives_a_keyframe_as_reading_everything_finds_it(stream: bytes) -> None:
    told, everything = by_index(stream, max_per_video=PLACES), keyframes(stream)
    assert [index for index, *_ in told.frames] == [0, 1, 2, 3]
    assert all(everything[pts] == (seconds, picture) for _, pts, seconds, picture in told.frames)
    numbers = [list(everything).index(pts) for _, pts, *_ in told.frames]
    assert numbers == [3, 8, 13, 18], "the first that begin after an eighth, three eighths and so on"


def test_windows_alone_are_read(stream: bytes) -> None:
    told = by_index(stream, max_per_video=PLACES)
    assert told.source.bytes_read < len(stream) / 2


def test_only_the_frames_asked_for_are_told_under_their_own_index(stream: bytes) -> None:
    everything, some = by_index(stream, max_per_video=PLACES), by_index(stream, max_per_video=PLACES, only_frames=(1, 3, 99))
    assert some.frames == [everything.frames[1], everything.frames[3]]
    assert some.frames_chosen == PLACES


POLICIES = {
    "every keyframe": {},
    "more places than are worth leaping to": {"max_per_video": 40},
    "a gap wider than places are apart": {"max_per_video": PLACES, "min_gap_seconds": 4.0},
}


@pytest.mark.parametrize("policy", POLICIES)
def test_other_policies_have_the_file_read_from_end_to_end(policy: str, stream: bytes) -> None:
    with pytest.raises(UnusableIndexError):
        by_index(stream, **POLICIES[policy])


def odd_streams(stream: bytes) -> Iterator[tuple[str, bytes]]:
    third = len(stream) // 188 // 3 * 188
    yield "time begins anew", stream[: 2 * third] + stream
    yield "nothing but one keyframe", clips.make(Clip(container="mpegts", frames=100, gop=200, options=FILL))
    yield "a silent part", stream[:third] + b"\x47\x1f\xff\x10".ljust(188, b"\xff") * (third // 188) + stream[2 * third :]
    yield "tables lost", stream[188 * 3 :].replace(b"\x47\x40\x00", b"\x47\x5f\xff")
    yield "out of step", stream[: third + 100] + stream[third:]
    yield "noise", stream[:third] + clips.scrambled(stream[third:], 0, len(stream) - third)


@pytest.mark.parametrize("name", ["time begins anew", "nothing but one keyframe", "a silent part", "tables lost", "out of step", "noise"])
def test_odd_streams_are_read_from_end_to_end(name: str, stream: bytes) -> None:
    with pytest.raises(UnusableIndexError):
        by_index(dict(odd_streams(stream))[name], max_per_video=PLACES)


def test_packets_with_time_stamps_before_them_are_packets_too(stream: bytes) -> None:
    stamped = b"".join(number.to_bytes(4) + stream[number * 188 :][:188] for number in range(len(stream) // 188))
    told, everything = by_index(stamped, max_per_video=PLACES), keyframes(stamped)
    assert len(told.frames) == PLACES
    assert all(everything[pts] == (seconds, picture) for _, pts, seconds, picture in told.frames)


@pytest.mark.parametrize("seed", range(60))
def test_damaged_tables_are_used_or_passed_over_and_nothing_else(seed: int, stream: bytes) -> None:
    place = 188 * (seed % 3) + seed * 31 % 60
    damaged = stream[:place] + bytes([stream[place] ^ 1 << seed % 8]) + stream[place + 1 :]
    try:
        tables_of(damaged[: 64 * 1024])
    except UnusableIndexError:
        return
    if seed % 4 == 0:
        try:
            told = by_index(damaged, max_per_video=PLACES)
        except (UnusableIndexError, UnreadableError):
            return
        assert len(told.frames) + len(told.dead_frames) == told.frames_chosen
