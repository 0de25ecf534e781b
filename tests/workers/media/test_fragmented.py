import itertools
from fractions import Fraction

import clips
import pytest
from clips import Clip
from readings import by_index, by_reading_all

from schemas.reasons import Reason
from workers.media.child.objectfile import ObjectFile
from workers.media.child.unreadable import UnreadableError
from workers.media.child.unusable import UnusableIndexError
from workers.media.readers.boxes import box
from workers.media.readers.fragments import LARGE_BYTES, layout_of
from workers.media.readers.movie import NON_SYNC

FLAGS = {
    "mfra": "frag_keyframe+empty_moov",
    "mfra, offsets from the moof": "frag_keyframe+empty_moov+default_base_moof",
    "sidx": "frag_keyframe+empty_moov+global_sidx+default_base_moof",
    "sidx, edit list": "frag_keyframe+delay_moov+global_sidx+default_base_moof",
    "dash": "dash+frag_keyframe+delay_moov+global_sidx",
}
KINDS = {
    "h264": Clip(),
    "h264 with sound": Clip(audio=True),
    "h264, open gops": Clip(codec_options={"x264-params": "open-gop=1"}),
    "h264, turned, oblong pixels": Clip(rotation=90, pixel_aspect=Fraction(3, 2)),
    "hevc": Clip(codec="libx265"),
    "vp9": Clip(codec="libvpx-vp9"),
    "mpeg4": Clip(codec="mpeg4"),
}
POLICIES = [{}, {"max_per_video": 3}, {"min_gap_seconds": 1.5}, {"min_gap_seconds": 1.5, "max_per_video": 2}]
LARGE = Clip(width=320, height=240, frames=120, audio=True, codec_options={"crf": "1"}, options={"movflags": FLAGS["sidx"]})
SEVERAL = {"movflags": "empty_moov+global_sidx+default_base_moof", "frag_duration": "2000000"}
"""Fragments of two seconds, with two keyframes each."""
ASTRIDE = {"movflags": "empty_moov+global_sidx+default_base_moof", "frag_duration": "700000"}
"""Fragments that keyframes come in the middle of, or not at all."""


def fragmented(clip: Clip, flags: str) -> Clip:
    return Clip(**{**clip.__dict__, "options": {"movflags": flags}})


def boxes(clip: bytes) -> list[tuple[bytes, int, int]]:
    """What lies at the top of the file: kinds, starts and ends."""
    found, position = [], 0
    while one := box(clip[position : position + 16], base=position, limit=len(clip)):
        found.append((one.kind, one.starts, one.ends))
        position = one.ends
    return found


def without(clip: bytes, kind: bytes) -> bytes:
    """Rename a kind of box, so that nobody knows it."""
    for found, start, _ in boxes(clip):
        if found == kind:
            clip = clip[: start + 4] + b"free" + clip[start + 8 :]
    return clip


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("flags", FLAGS)
def test_frames_by_an_index_are_those_that_reading_everything_finds(flags: str, policy: dict[str, object]) -> None:
    clip = clips.make(fragmented(KINDS["h264 with sound"], FLAGS[flags]))
    found = by_index(clip, **policy)
    assert found.story == by_reading_all(clip, **policy).story
    assert len(found.frames) >= 2


@pytest.mark.parametrize("kind", KINDS)
def test_frames_of_every_codec_are_those_that_reading_everything_finds(kind: str) -> None:
    for flags in ("mfra", "sidx, edit list"):
        clip = clips.make(fragmented(KINDS[kind], FLAGS[flags]))
        for policy in ({}, {"max_per_video": 3}):
            assert by_index(clip, **policy).story == by_reading_all(clip, **policy).story


@pytest.mark.parametrize("options", [SEVERAL, ASTRIDE], ids=["several in a fragment", "astride"])
@pytest.mark.parametrize("policy", POLICIES[:1] + POLICIES[2:3], ids=str)
def test_every_keyframe_counts_where_all_may_be_chosen(options: dict[str, str], policy: dict[str, object]) -> None:
    clip = clips.make(Clip(audio=True, frames=60, options=options))
    found = by_index(clip, **policy)
    assert found.story == by_reading_all(clip, **policy).story
    assert len(found.frames) == (6 if not policy else 3)


def test_every_keyframe_counts_where_fragments_are_fewer_than_may_be_chosen() -> None:
    clip = clips.make(Clip(frames=60, options=SEVERAL))
    assert by_index(clip, max_per_video=5).story == by_reading_all(clip, max_per_video=5).story


def test_every_keyframe_counts_where_a_chosen_fragment_does_not_begin_with_one() -> None:
    clip = clips.make(Clip(frames=100, options=ASTRIDE))
    assert by_index(clip, max_per_video=5).story == by_reading_all(clip, max_per_video=5).story


def test_a_fragments_first_keyframe_counts_where_fragments_are_more_than_may_be_chosen() -> None:
    clip = clips.make(Clip(frames=120, options=SEVERAL))
    numbers = [round(seconds * 10) for _, _, seconds, _ in by_index(clip, max_per_video=3).frames]
    assert [number // 20 for number in numbers] == [1, 3, 5]
    assert all(number % 20 in {0, 1, 2} for number in numbers)


def test_only_the_index_and_chosen_keyframes_are_read() -> None:
    told = by_index(clips.make(LARGE), max_per_video=4)
    assert len(told.frames) == 4
    assert told.source.bytes_read < 64 * 1024 + told.key_bytes + 12 * 1024
    assert len(told.source.asked) <= 2 * 4 + 4


def test_large_fragments_without_an_index_are_gone_through_and_small_ones_are_not() -> None:
    small = without(clips.make(Clip(frames=120, options={"movflags": FLAGS["mfra, offsets from the moof"]})), b"mfra")
    filler = (2 * LARGE_BYTES).to_bytes(4) + b"free" + bytes(2 * LARGE_BYTES - 8)
    clip = b"".join(small[start:end] + (filler if kind == b"mdat" else b"") for kind, start, end in boxes(small))
    told = by_index(clip, max_per_video=2)
    assert told.story == by_reading_all(clip, max_per_video=2).story
    assert told.source.bytes_read < len(clip) * 0.4
    with pytest.raises(UnusableIndexError):
        by_index(small)


def test_only_the_frames_asked_for_are_told_under_their_own_index() -> None:
    clip = clips.make(LARGE)
    everything, some = by_index(clip), by_index(clip, only_frames=(1, 7, 99))
    assert some.frames == [everything.frames[1], everything.frames[7]]
    assert some.frames_chosen == everything.frames_chosen


def patched(clip: bytes, kind: bytes, offset: int, value: bytes, *, nth: int = 0) -> bytes:
    """Overwrite bytes at an offset from a box's kind."""
    place = -1
    for _ in range(nth + 1):
        place = clip.index(kind, place + 1)
    return clip[: place + offset] + value + clip[place + offset + len(value) :]


LIES = {
    "no time": (b"tfdt", 0, b"free"),
    "a run without end": (b"trun", 8, b"\xff" * 4),
    "a run with many samples": (b"trun", 8, (5000).to_bytes(4)),
    "a run that lies nowhere": (b"trun", 7, b"\x00"),
    "a run past the end": (b"trun", 12, b"\x7f" * 4),
    "a run before its fragment": (b"trun", 12, b"\xff" * 4),
    "a fragment without end": (b"moof", -4, b"\x7f" * 4),
    "an empty movie": (b"trak", 0, b"free"),
    "a track that is no video": (b"vide", 0, b"soun"),
    "a clock that stands": (b"mdhd", 16, bytes(4)),
    "another format of samples": (b"stsd", 8, (2).to_bytes(4)),
    "encrypted samples": (b"avc1\0\0\0\0\0\0", 0, b"encv"),
}


@pytest.mark.parametrize("lie", LIES)
def test_fragments_that_lie_are_left_to_ffmpeg(lie: str) -> None:
    clip = clips.make(Clip(options={"movflags": FLAGS["sidx"]}))
    with pytest.raises(UnusableIndexError):
        by_index(patched(clip, *LIES[lie]))


def test_an_index_that_does_not_cover_the_file_is_not_believed() -> None:
    clip = clips.make(Clip(frames=100, options={"movflags": FLAGS["sidx"]}))
    count = clip.index(b"sidx") + 4 + 4 + 4 + 4 + 16 + 2
    shorter = clip[:count] + (4).to_bytes(2) + clip[count + 2 :]
    spans = layout_of(ObjectFile(lambda start, end: shorter[start:end], len(shorter))).spans
    assert len(spans) == 10, "the table at the end has all"
    with pytest.raises(UnusableIndexError):
        by_index(without(shorter, b"mfra"))


def test_a_cut_file_is_read_from_end_to_end() -> None:
    for flags in FLAGS.values():
        clip = clips.make(fragmented(KINDS["h264"], flags))
        for part in (0.5, 0.9, 0.999):
            with pytest.raises(UnusableIndexError):
                by_index(clip[: int(len(clip) * part)])


def test_samples_in_order_of_another_clock_are_left_to_ffmpeg() -> None:
    clip = clips.make(Clip(options={"movflags": FLAGS["sidx"] + "+negative_cts_offsets"}))
    with pytest.raises(UnusableIndexError):
        by_index(clip)


def test_an_encrypted_file_is_encrypted() -> None:
    with pytest.raises(UnusableIndexError):
        by_index(clips.make(Clip(options=clips.DEMO_KEY | {"movflags": FLAGS["sidx"]})))


def test_a_keyframe_that_does_not_decode_is_dead_and_the_others_go_on() -> None:
    clip = clips.make(Clip(codec="mpeg4", options={"movflags": FLAGS["sidx"]}))
    mdats = [(start, end) for kind, start, end in boxes(clip) if kind == b"mdat"]
    start, end = mdats[2]
    told = by_index(clips.scrambled(clip, start + 8, end))
    assert [index for index, *_ in told.frames] == [0, 1, 3]
    assert [(index, reason) for index, _, reason in told.dead_frames] == [(2, Reason.CORRUPT)]


@pytest.fixture(scope="module")
def intact() -> tuple[bytes, bytes]:
    sidx, mfra = (clips.make(Clip(frames=30, options={"movflags": FLAGS[name]})) for name in ("sidx", "mfra"))
    return sidx, mfra


@pytest.mark.parametrize("seed", range(100))
def test_damaged_tables_are_used_or_passed_over_and_nothing_else(seed: int, intact: tuple[bytes, bytes]) -> None:
    clip = bytearray(intact[seed % 2])
    places = list(itertools.chain.from_iterable(range(start, end) for kind, start, end in boxes(bytes(clip)) if kind != b"mdat"))
    clip[places[seed * 7919 % len(places)]] ^= 1 << seed % 8
    try:
        told = by_index(bytes(clip))
    except (UnusableIndexError, UnreadableError):
        return
    assert told.source.bytes_read < 6 * len(clip)
    assert len(told.frames) + len(told.dead_frames) == told.frames_chosen


def test_a_sample_that_is_not_sync_is_no_keyframe() -> None:
    clip = clips.make(Clip(options={"movflags": FLAGS["mfra, offsets from the moof"]}))
    place = clip.index(b"trun", clip.index(b"moof", clip.index(b"moof") + 1))
    assert clip[place + 7] & 0x04, "the first sample has flags of its own"
    flags = place + 16
    changed = clip[:flags] + NON_SYNC.to_bytes(4) + clip[flags + 4 :]
    expected = by_reading_all(clip).frames
    assert [pts for _, pts, *_ in by_index(changed).frames] == [expected[number][1] for number in (0, 2, 3)]


def test_a_fragment_without_the_track_is_left_out() -> None:
    clip = patched(clips.make(Clip(options={"movflags": FLAGS["sidx"]})), b"tfhd", 8, (9).to_bytes(4))
    assert len(by_index(clip).frames) == 3
