from fractions import Fraction

import clips
import pytest
from clips import Clip
from readings import Counted, by_index, by_reading_all

from workers.media.child.objectfile import ObjectFile
from workers.media.child.unreadable import UnreadableError
from workers.media.child.unusable import UnusableIndexError
from workers.media.readers import matroska
from workers.media.readers.ebml import children, written
from workers.media.readers.matroska import CLUSTER, CUES, Cue, index_of
from workers.media.readers.places import Places

KINDS = {
    "h264": Clip(container="matroska"),
    "h264 with sound": Clip(container="matroska", audio=True),
    "h264, open gops": Clip(container="matroska", codec_options={"x264-params": "open-gop=1"}),
    "h264, oblong pixels": Clip(container="matroska", pixel_aspect=Fraction(3, 2)),
    "hevc": Clip(container="matroska", codec="libx265"),
    "vp8": Clip(container="webm", codec="libvpx"),
    "vp9": Clip(container="webm", codec="libvpx-vp9"),
    "av1": Clip(container="webm", codec="libsvtav1"),
    "mpeg4": Clip(container="matroska", codec="mpeg4"),
    "mpeg2": Clip(container="matroska", codec="mpeg2video", rate=25, frames=100),
    "mjpeg": Clip(container="matroska", codec="mjpeg", pix_fmt="yuvj420p", gop=1),
    "cues in front": Clip(container="matroska", options={"cues_to_front": "1"}),
    "short clusters": Clip(container="matroska", audio=True, options={"cluster_time_limit": "200"}),
}
POLICIES = [{}, {"max_per_video": 3}, {"min_gap_seconds": 1.5}]
LARGE = Clip(container="matroska", width=320, height=240, frames=120, audio=True, codec_options={"crf": "1"})


def places_of(clip: bytes, identity: int) -> list[int]:
    """Where elements of a kind with an id of four bytes begin."""
    marker, places, at = identity.to_bytes(4), [], -1
    while (at := clip.find(marker, at + 1)) >= 0:
        places.append(at)
    return places


def index(clip: bytes) -> matroska.Index:
    return index_of(ObjectFile(lambda start, end: clip[start:end], len(clip)))


def with_cues(clip: bytes, cues: list[tuple[int, list[tuple[int, int]]]]) -> bytes:
    """Put other Cues in place of a clip's, which are the last thing in it: a time, and fields of the track's position."""
    place = places_of(clip, CUES)[-1]
    points = [
        written(0xBB, written(0xB3, time.to_bytes(8)) + written(0xB7, b"".join(written(one, at.to_bytes(8)) for one, at in fields)))
        for time, fields in cues
    ]
    changed = clip[:place] + written(CUES, b"".join(points))
    segment = clip.index(bytes.fromhex("18538067")) + 4
    return changed[:segment] + (1 << 56 | len(changed) - segment - 8).to_bytes(8) + changed[segment + 8 :]


def origin(clip: bytes) -> int:
    return clip.index(bytes.fromhex("18538067")) + 12


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_frames_by_cues_are_those_that_reading_everything_finds(kind: str, policy: dict[str, object]) -> None:
    clip = clips.make(KINDS[kind])
    found = by_index(clip, **policy)
    assert found.story == by_reading_all(clip, **policy).story
    assert len(found.frames) >= 2


def test_only_cues_and_chosen_keyframes_are_read() -> None:
    clip = clips.make(LARGE)
    told = by_index(clip, max_per_video=4)
    assert len(told.frames) == 4
    assert told.source.bytes_read < 64 * 1024 + told.key_bytes + 6 * 1024
    assert len(told.source.asked) <= 2 * 4 + 3


def test_the_first_keyframes_are_not_read_twice() -> None:
    asked = [one for one in by_index(clips.make(LARGE)).source.asked if one[1] - one[0] > 1024]
    assert len(asked) == len(set(asked))


def test_only_the_frames_asked_for_are_told_under_their_own_index() -> None:
    clip = clips.make(LARGE)
    everything, some = by_index(clip), by_index(clip, only_frames=(1, 7, 99))
    assert some.frames == [everything.frames[1], everything.frames[7]]
    assert some.frames_chosen == everything.frames_chosen


def test_a_cue_without_a_place_in_its_cluster_is_found_by_walking() -> None:
    clip = clips.make(Clip(container="matroska", audio=True, options={"cluster_time_limit": "100000", "cluster_size_limit": "10000000"}))
    cues = [(cue.time, [(0xF7, 1), (0xF1, cue.cluster - origin(clip))]) for cue in index(clip).cues]
    told = by_index(with_cues(clip, cues))
    assert told.story == by_reading_all(clip).story


def test_going_from_block_to_block_takes_ever_longer_looks() -> None:
    source = Counted(bytes(range(250)) * 40_000)
    places = Places(ObjectFile(source.fetch, len(source.body)), look_bytes=256, longest_bytes=256 * 1024)
    for start in range(1_000_000, 3_000_000, 9_000):
        assert places.at(start, 12) == source.body[start : start + 12]
    assert len(source.asked) < 24
    assert source.bytes_read < 2_500_000
    places.at(8_000_000 - 4_000_000, 12)
    assert source.asked[-1] == (4_000_000, 4_000_256)


def test_where_cues_name_fewer_keyframes_those_are_the_ones_to_choose_from() -> None:
    clip = clips.make(Clip(container="matroska"))
    first, _, third, _ = index(clip).cues
    sparse = with_cues(clip, [(cue.time, [(0xF7, 1), (0xF1, cue.cluster - origin(clip))]) for cue in (first, third)])
    assert [pts for _, pts, *_ in by_index(sparse).frames] == [first.time, third.time]


def lies(clip: bytes) -> dict[str, list[tuple[int, list[tuple[int, int]]]]]:
    one, base = index(clip).cues[0], origin(clip)
    at = one.cluster - base
    return {
        "none": [],
        "of another track": [(one.time, [(0xF7, 2), (0xF1, at)])],
        "a time at which there is nothing": [(one.time + 7, [(0xF7, 1), (0xF1, at)])],
        "a frame that is no keyframe": [(one.time + 100, [(0xF7, 1), (0xF1, at)])],
        "past the end": [(one.time, [(0xF7, 1), (0xF1, len(clip) * 2)])],
        "far past the end": [(one.time, [(0xF7, 1), (0xF1, 2**64 - 1)])],
        "a place past the end": [(one.time, [(0xF7, 1), (0xF1, at), (0xF0, 2**63)])],
        "no cluster": [(one.time, [(0xF7, 1), (0xF1, at + 1)])],
        "the middle of a block": [(one.time, [(0xF7, 1), (0xF1, at), (0xF0, 40)])],
        "after a century": [(2**62, [(0xF7, 1), (0xF1, at)])],
        "no position": [(one.time, [(0xF7, 1)])],
    }


@pytest.mark.parametrize("lie", lies(clips.make(Clip(container="matroska"))))
def test_cues_that_lie_are_not_believed(lie: str) -> None:
    clip = clips.make(Clip(container="matroska"))
    with pytest.raises(UnusableIndexError):
        by_index(with_cues(clip, lies(clip)[lie]))


WITHOUT = {
    "live": Clip(container="matroska", options={"live": "1"}),
    "few": Clip(container="matroska", frames=900, gop=900),
}


@pytest.mark.parametrize("other", WITHOUT)
def test_files_without_cues_or_with_few_are_read_from_end_to_end(other: str) -> None:
    with pytest.raises(UnusableIndexError):
        by_index(clips.make(WITHOUT[other]))


def test_a_track_that_has_no_times_of_its_own_is_read_from_end_to_end() -> None:
    clip = clips.make(Clip(container="matroska", codec="mpeg4"))
    assert by_index(clip).frames
    with pytest.raises(UnusableIndexError):
        by_index(clip.replace(b"V_MPEG4/ISO/ASP", b"V_MS/VFW/FOURCC"))


def test_files_of_several_segments_or_cut_ones_are_read_from_end_to_end() -> None:
    clip = clips.make(Clip(container="matroska"))
    for other in (clip + clip, clip[:-10], clip[: len(clip) // 2]):
        with pytest.raises(UnusableIndexError):
            by_index(other)


@pytest.fixture(scope="module")
def intact() -> bytes:
    return clips.make(Clip(container="matroska", frames=20))


@pytest.mark.parametrize("seed", range(80))
def test_a_damaged_index_is_used_or_passed_over_and_nothing_else(seed: int, intact: bytes) -> None:
    clip = bytearray(intact)
    cluster, cues = places_of(clip, CLUSTER)[0], places_of(clip, CUES)[-1]
    places = [*range(40, cluster), *range(cues, len(clip))]
    clip[places[seed * 7919 % len(places)]] ^= 1 << seed % 8
    try:
        told = by_index(bytes(clip))
    except (UnusableIndexError, UnreadableError):
        return
    assert told.source.bytes_read < 6 * len(clip)
    assert len(told.frames) + len(told.dead_frames) == told.frames_chosen


def test_elements_that_say_they_are_endless_take_no_memory() -> None:
    huge = bytes.fromhex("1a45dfa3") + b"\x01" + b"\x7f" * 7
    for body in (huge, huge + bytes(100), b"\xff" * 100, b"\x00" * 100):
        with pytest.raises(UnusableIndexError):
            list(children(body))


def test_a_cues_order_is_that_of_the_file() -> None:
    clip = clips.make(Clip(container="matroska"))
    cues = [(cue.time, [(0xF7, 1), (0xF1, cue.cluster - origin(clip))]) for cue in index(clip).cues]
    turned = index(with_cues(clip, cues[::-1] + cues))
    assert [Cue(cue.cluster, None, cue.time) for cue in index(clip).cues] == list(turned.cues)
