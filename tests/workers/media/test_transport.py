from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import av
import clips
import numpy as np
import pytest
from av.video.frame import PictureType
from clips import Clip
from readings import by_index, by_reading_all

from workers.media.child.unreadable import UnreadableError
from workers.media.child.unusable import UnusableIndexError
from workers.media.readers.rhythm import Rhythm
from workers.media.readers.starts import TICKS, Start
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


def keyframes(clip: bytes, **policy: object) -> dict[int, tuple[float, bytes]]:
    return {pts: (seconds, picture) for _, pts, seconds, picture in by_reading_all(clip, **policy).frames}


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


LONG = Clip(container="mpegts", frames=160, gop=20, options=FILL)


@pytest.fixture(scope="module")
def slow_stream() -> bytes:
    """Keyframes far apart: more than a megabyte from one to the next."""
    return clips.make(LONG)


def with_keyframes_at(numbers: Iterable[int]) -> bytes:
    """A stream with keyframes nowhere else."""

    def paint(number: int) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(clips.picture(number, LONG.width, LONG.height), "rgb24").reformat(format="yuv420p")
        frame.pict_type = PictureType.I if number in numbers else PictureType.NONE
        return frame

    forced = {"forced-idr": "1"}
    return clips.make(Clip(container="mpegts", frames=160, gop=250, options=FILL, paint=paint, codec_options=forced))


def with_changed_starts(stream: bytes, change: Callable[[int, bytearray], None]) -> bytes:
    """Change the packets that pictures begin with; `change` is told where each is."""
    changed = bytearray(stream)
    for at in range(0, len(stream), 188):
        if stream[at + 1 : at + 3] == b"\x41\x00":  # the first of a picture, of stream 256
            packet = changed[at : at + 188]
            change(at, packet)
            changed[at : at + 188] = packet
    return bytes(changed)


def stamp_at(packet: bytearray) -> int:
    """Where in a packet its first time stamp is."""
    return (5 + packet[4] if packet[3] & 0x20 else 4) + 9


def test_what_lies_before_the_next_keyframe_is_passed_over(slow_stream: bytes) -> None:
    told = by_index(slow_stream, max_per_video=PLACES)
    everything = keyframes(slow_stream)
    assert all(everything[pts] == (seconds, picture) for _, pts, seconds, picture in told.frames)
    assert [list(everything).index(pts) for _, pts, *_ in told.frames] == [1, 3, 5, 7]
    second_place = 3 * len(slow_stream) // 8 // 188 * 188
    assert sum(end - start for start, end in told.source.asked if start >= second_place) < 3 * 256 * 1024


IRREGULAR = {
    "at random": [0, 13, 33, 41, 66, 70, 97, 104, 111, 129, 150],
    "farther and farther apart": [0, 5, 11, 21, 36, 56, 85, 120, 143],
    "in another rhythm later": [*range(0, 80, 20), *range(83, 160, 16)],
    "now near, now far": [0, 22, 24, 46, 48, 70, 72, 94, 96, 118, 120, 142, 144],
}


@pytest.mark.parametrize("numbers", IRREGULAR)
def test_keyframes_at_uneven_distances_are_found_too(numbers: str) -> None:
    stream = with_keyframes_at(IRREGULAR[numbers])
    told, everything = by_index(stream, max_per_video=PLACES), keyframes(stream)
    assert len(everything) == len(IRREGULAR[numbers])
    assert len(told.frames) == PLACES
    assert all(everything[pts] == (seconds, picture) for _, pts, seconds, picture in told.frames)


@pytest.mark.parametrize("from_eighth", [0, 2, 4])
def test_where_no_keyframe_is_as_guessed_the_stream_is_read_on_from_the_place(from_eighth: int, slow_stream: bytes) -> None:
    def hide(at: int, packet: bytearray) -> None:
        if at >= from_eighth * len(slow_stream) // 8 and packet[3] & 0x20 and packet[4]:
            packet[5] &= ~0x40

    hidden = with_changed_starts(slow_stream, hide)
    assert hidden != slow_stream
    assert by_index(hidden, max_per_video=PLACES).frames == by_index(slow_stream, max_per_video=PLACES).frames


@pytest.mark.parametrize("seed", range(12))
def test_time_stamps_that_lie_mislead_to_nothing_but_keyframes(seed: int, slow_stream: bytes) -> None:
    chance = np.random.default_rng(seed)

    def lie(at: int, packet: bytearray) -> None:
        if at > seed % 3 * len(slow_stream) // 4 and chance.random() < (0.02, 0.2, 0.9)[seed // 3 % 3]:
            decoded_at = stamp_at(packet) + (5 if packet[stamp_at(packet) - 2] & 0x40 else 0)
            packet[decoded_at : decoded_at + 5] = bytes(byte | 1 for byte in chance.bytes(5))

    lying = with_changed_starts(slow_stream, lie)
    try:
        told = by_index(lying, max_per_video=PLACES)
    except (UnusableIndexError, UnreadableError):
        return
    # where the very first stamps lie, FFmpeg counts whole turns of the clock that a window does not show
    everything = {pts % TICKS: picture for pts, (_, picture) in keyframes(lying, max_duration_seconds=10**6).items()}
    assert all(everything[pts % TICKS] == picture for _, pts, _, picture in told.frames)
    assert all(earlier[2] < later[2] for earlier, later in pairwise(told.frames))


@pytest.mark.parametrize("seconds_before", [3, 30])
def test_streams_in_which_time_stamps_begin_anew_are_read_from_end_to_end(seconds_before: int, slow_stream: bytes) -> None:
    def later(_: int, packet: bytearray) -> None:
        at = stamp_at(packet)
        for first in (at, at + 5) if packet[at - 2] & 0x40 else (at,):
            moved = (stamp(packet, first) + TICKS - seconds_before * 90_000) % TICKS
            fields = (moved >> 30) << 33 | (moved >> 15 & 0x7FFF) << 17 | (moved & 0x7FFF) << 1 | 0x100010001
            packet[first : first + 5] = ((packet[first] >> 4) << 36 | fields).to_bytes(5)

    with pytest.raises(UnusableIndexError):
        by_index(with_changed_starts(slow_stream, later), max_per_video=PLACES)


def stamp(packet: bytearray, at: int) -> int:
    fields = int.from_bytes(packet[at : at + 5])
    return (fields >> 33 & 0x7) << 30 | (fields >> 17 & 0x7FFF) << 15 | fields >> 1 & 0x7FFF


def test_a_guess_is_the_first_multiple_of_the_distance_and_spreads_what_lies_between_keyframes() -> None:
    rhythm = Rhythm(period=1000, last=Start(place=0, ticks=5000, is_key=True), key_bytes=500)
    seen = Start(place=4000, ticks=7500, is_key=False)
    guess = rhythm.guess(seen)
    assert guess is not None
    assert guess.ticks == 8000
    assert guess.place(seen) == 4000 + 500 * (4000 - 3 * 500) // 2500


@pytest.mark.parametrize(("period", "ticks"), [(0, 7500), (-1000, 7500), (800, 7500), (1000, 5000), (1000, 4000), (1000, TICKS - 1)])
def test_there_is_no_guess_where_time_makes_no_sense(period: int, ticks: int) -> None:
    rhythm = Rhythm(period=period, last=Start(place=0, ticks=5000, is_key=True), key_bytes=500)
    assert rhythm.guess(Start(place=4000, ticks=ticks, is_key=False)) is None


def test_a_guess_goes_on_where_time_stamps_begin_anew() -> None:
    rhythm = Rhythm(period=1000, last=Start(place=0, ticks=TICKS - 500, is_key=True), key_bytes=0)
    guess = rhythm.guess(seen := Start(place=4000, ticks=100, is_key=False))
    assert guess is not None
    assert guess.place(seen) == 4000 + 4000 * 400 // 600 + 1
