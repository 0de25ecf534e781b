import clips
import pytest
from clips import Clip
from readings import by_reading_all

from workers.media.readers.scanned import BUFFER_BYTES, MOST_HELD_BYTES

KINDS = {
    "avi": Clip(container="avi", codec="mpeg4", width=640, height=480, frames=100),
    "flv": Clip(container="flv", width=640, height=480, frames=100),
    "asf": Clip(container="asf", codec="mpeg4", width=640, height=480, frames=100),
    "mpeg-ts": Clip(container="mpegts", width=640, height=480, frames=100, options={"muxrate": "3000000"}),
    "mkv without cues": Clip(container="matroska", width=640, height=480, frames=100, options={"live": "1"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_without_an_index_is_read_once(kind: str) -> None:
    clip = clips.make(KINDS[kind])
    told = by_reading_all(clip, max_per_video=5)
    assert len(told.frames) == 5
    assert told.source.bytes_read <= len(clip) + 5 * BUFFER_BYTES, "what is read again is what FFmpeg looks at to learn what there is"


@pytest.mark.parametrize(("gap", "numbers"), [(0.0, [4, 12, 20, 28, 36, 44]), (0.25, [3, 12, 18, 27, 36, 42])])
def test_keyframes_that_there_is_no_room_for_are_found_a_second_time(gap: float, numbers: list[int]) -> None:
    raw = Clip(container="avi", codec="rawvideo", width=960, height=640, frames=48)
    clip = clips.make(raw)
    assert len(clip) > MOST_HELD_BYTES
    told = by_reading_all(clip, max_per_video=6, min_gap_seconds=gap)
    assert [round(seconds * 10) for _, _, seconds, _ in told.frames] == numbers
    assert not told.dead_frames
    assert (told.source.bytes_read > 1.5 * len(clip)) is (gap == 0)
