import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import clips
import numpy as np
import pytest
from slides import show, view

from schemas.errors import PermanentError
from schemas.reasons import Reason, Stage
from schemas.recipe import ImageSize, KeyframePolicy
from workers.keyframe import DeadFrame, Form, Keyframe, Picture
from workers.media.sandbox import Decoder
from workers.scenes import SMALL, find_scenes, scene_keyframes

USUAL = 27.0
BROKEN = PermanentError(Reason.CORRUPT, Stage.DECODE, "broken")
DAY = [view("dawn"), view("dawn", brighter=4), view("dawn"), view("day"), view("day", brighter=9), view("night"), view("night", brighter=2)]
Frames = list[Keyframe | DeadFrame]


def of(**fields) -> KeyframePolicy:
    return KeyframePolicy(**{"min_gap_seconds": 0, "max_per_video": 0, "scene_threshold": USUAL} | fields)


def grey(index: int, level: int, *, of: int = 9, width: int = 64) -> Keyframe:
    pixels = np.full((36, width, 3), level, np.uint8)
    picture = Picture.of(pixels, form=Form.RGB, jpeg_quality=90)
    return Keyframe(index, of, 0, index * 1000, float(index), None, width, 36, picture, 0.01)


def dead(index: int, *, of: int = 9, seconds: float | None = 1.0) -> DeadFrame:
    return DeadFrame(index, of, seconds, BROKEN)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as one:
        yield one


def scenes(decoder: Decoder, clip: bytes, policy: KeyframePolicy, *, image: ImageSize = ImageSize(), **only) -> Frames:  # noqa: B008
    return list(scene_keyframes(decoder, clips.Bytes(clip), policy=policy, image=image, **only))


def shown(frames: Frames) -> list[tuple[int, int, float | None]]:
    return [(frame.frame_index, frame.frames_chosen, frame.pts_seconds) for frame in frames]


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_the_first_keyframe_of_every_scene_is_given_in_full_size(container: str, decoder: Decoder) -> None:
    found = scenes(decoder, show(DAY, container=container), of())
    begun = found[0].pts_seconds
    assert [(frame.frame_index, frame.frames_chosen, frame.pts_seconds - begun) for frame in found] == [(0, 3, 0), (1, 3, 6), (2, 3, 10)]
    for frame, look in zip(found, ("dawn", "day", "night"), strict=True):
        assert np.abs(frame.picture.array.astype(int) - view(look)).mean() < 4


def test_the_picture_is_the_one_that_is_decoded_without_scenes(decoder: Decoder) -> None:
    clip = show(DAY)
    plain = list(decoder.keyframes(clips.Bytes(clip), policy=of(scene_threshold=0), image=ImageSize(), form=Form.JPEG))
    found = scenes(decoder, clip, of(), form=Form.JPEG)
    assert [(frame.pts, frame.picture) for frame in found] == [(plain[place].pts, plain[place].picture) for place in (0, 3, 5)]


def test_the_gap_holds_for_the_candidates_and_the_number_for_the_scenes(decoder: Decoder) -> None:
    clip = show([view("day"), view("night")] * 4)
    assert [frame.pts_seconds for frame in scenes(decoder, clip, of())] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert shown(scenes(decoder, clip, of(max_per_video=2))) == [(0, 2, 4), (1, 2, 12)]
    assert shown(scenes(decoder, clip, of(min_gap_seconds=4))) == [(0, 1, 0)]


def test_a_higher_threshold_finds_fewer_scenes(decoder: Decoder) -> None:
    clip = show(DAY)
    counts = [len(scenes(decoder, clip, of(scene_threshold=threshold))) for threshold in (0.5, 27, 80, 255)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (7, 1)


def test_only_the_scenes_asked_for_are_given_under_their_own_index(decoder: Decoder) -> None:
    clip = show(DAY)
    assert shown(scenes(decoder, clip, of(), only_frames=frozenset({1, 2, 99}))) == [(1, 3, 6), (2, 3, 10)]
    assert scenes(decoder, clip, of(), only_frames=frozenset()) == []


def test_what_cannot_be_read_of_a_cut_file_stays_a_dead_frame_behind_the_scenes(decoder: Decoder) -> None:
    clip = show([view("day"), view("night")] * 20, container="matroska")
    *good, last = scenes(decoder, clip[: len(clip) * 2 // 3], of(max_per_video=3))
    assert [type(frame) for frame in good] == [Keyframe] * 3
    assert isinstance(last, DeadFrame)
    assert (last.frame_index, last.frames_chosen, last.error.reason) == (3, 4, Reason.TRUNCATED)


def test_a_video_that_cannot_be_read_fails_as_it_does_without_scenes(decoder: Decoder) -> None:
    with pytest.raises(PermanentError) as caught:
        scenes(decoder, b"no video", of())
    assert caught.value.reason is Reason.NOT_A_VIDEO


def test_a_scene_begins_with_a_jump_and_not_with_a_drift() -> None:
    levels = [10, 12, 200, 190, 180, 170, 20]
    assert find_scenes([grey(index, level) for index, level in enumerate(levels)], threshold=20) == ([0, 2, 6], [])


def test_a_dead_candidate_is_kept_and_hides_no_scene() -> None:
    frames = [dead(0), grey(1, 10), dead(2), grey(3, 10), dead(4), grey(5, 200)]
    assert find_scenes(frames, threshold=20) == ([0, 1, 2, 4, 5], [])
    assert find_scenes([grey(0, 10), dead(1, seconds=None)], threshold=20) == ([0], [1])


def test_a_picture_of_another_shape_begins_a_scene() -> None:
    frames = [grey(0, 10), grey(1, 10, width=48), grey(2, 10, width=48), grey(3, 200, width=48)]
    assert find_scenes(frames, threshold=20) == ([0, 1, 3], [])


@dataclass
class TwoFaced:
    """A decoder whose second pass lacks frames that its first one had."""

    asked: list[tuple[KeyframePolicy, ImageSize, frozenset[int] | None]] = field(default_factory=list)

    def keyframes(self, _source, *, policy, image, only_frames=None, **_form) -> Iterator[Keyframe | DeadFrame]:
        self.asked.append((policy, image, only_frames))
        yield grey(0, 10)
        if image == SMALL:
            yield grey(1, 200)


def test_passes_that_do_not_agree_are_the_videos_fault() -> None:
    decoder, image = TwoFaced(), ImageSize()
    found = scene_keyframes(decoder, clips.Bytes(b""), policy=of(duplicate_distance=8), image=image)
    assert next(found).frames_chosen == 2
    with pytest.raises(PermanentError, match="fewer keyframes"):
        next(found)
    first, second = decoder.asked
    assert first == (of(scene_threshold=0), SMALL, None)
    assert second == (of(duplicate_distance=8), image, frozenset({0, 1}))


def test_looking_for_scenes_loads_no_ffmpeg_into_the_worker() -> None:
    code = "import sys, workers.scenes\nassert 'scenedetect' not in sys.modules\nworkers.scenes.Scenes(27)\n"
    code += "assert 'scenedetect' in sys.modules\nassert 'av' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
