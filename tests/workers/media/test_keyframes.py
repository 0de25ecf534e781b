import io

import av
import clips
import numpy as np
import pytest
from clips import Clip

from schemas.errors import PermanentError
from schemas.reasons import Reason
from schemas.recipe import ImageSize, KeyframePolicy
from workers.keyframe import DeadFrame, Keyframe
from workers.media.pictures.colour import EXACTLY

KINDS = {
    "mp4": Clip(),
    "mp4, index in front": Clip(options=clips.FASTSTART),
    "mp4, fragmented": Clip(options=clips.FRAGMENTED),
    "mp4 with sound": Clip(audio=True),
    "mov, all intra": Clip(container="mov", codec="mjpeg", pix_fmt="yuvj420p", gop=1),
    "mp4, hevc": Clip(codec="libx265"),
    "mkv": Clip(container="matroska", audio=True),
    "webm": Clip(container="webm", codec="libvpx-vp9"),
    "avi": Clip(container="avi", codec="mpeg4"),
    "flv": Clip(container="flv"),
    "asf": Clip(container="asf", codec="mpeg4"),
    "mpeg-ts": Clip(container="mpegts"),
    "mpeg-ps": Clip(container="mpeg", codec="mpeg2video", rate=25),
}


def full_decode(clip: bytes) -> list[tuple[int, np.ndarray]]:
    """Every keyframe's pts and pixels, by decoding every frame."""
    with av.open(io.BytesIO(clip)) as container:
        frames = [frame for frame in container.decode(video=0) if frame.key_frame]
        return [(frame.pts, frame.reformat(format="gbrp", interpolation=EXACTLY).to_ndarray()) for frame in frames]


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_and_timestamps_equal_a_full_decode(kind: str, decode) -> None:
    clip = clips.make(KINDS[kind])
    found, expected = decode(clip), full_decode(clip)
    assert [frame.pts for frame in found] == [pts for pts, _ in expected]
    for frame, (_, pixels) in zip(found, expected, strict=True):
        assert np.array_equal(frame.picture.array, pixels)
    assert [clips.number_of(frame.picture.array) for frame in found] == list(range(0, 40, KINDS[kind].gop))


def test_a_keyframe_tells_all_about_itself(decode) -> None:
    frame = decode(clips.make(Clip()))[1]
    assert isinstance(frame, Keyframe)
    assert (frame.frame_index, frame.frames_chosen, frame.stream_index) == (1, 4, 0)
    assert (frame.pts_seconds, frame.duration_seconds) == (1.0, 0.1)
    assert (frame.source_width, frame.source_height) == (128, 96)
    assert 0 <= frame.decode_seconds < 5


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_the_policy_chooses(container: str, decode) -> None:
    clip = clips.make(Clip(container=container))
    found = decode(clip, policy=KeyframePolicy(min_gap_seconds=2, max_per_video=0))
    assert [clips.number_of(frame.picture.array) for frame in found] == [0, 20]
    assert [frame.frames_chosen for frame in decode(clip, policy=KeyframePolicy(min_gap_seconds=0, max_per_video=3))] == [3, 3, 3]


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_only_the_frames_asked_for_are_given_under_their_own_index(container: str, decode) -> None:
    found = decode(clips.make(Clip(container=container)), only_frames=frozenset({1, 3, 99}))
    assert [(frame.frame_index, frame.frames_chosen, clips.number_of(frame.picture.array)) for frame in found] == [(1, 4, 10), (3, 4, 30)]
    assert decode(clips.make(Clip(container=container)), only_frames=frozenset()) == []


def test_only_the_chosen_keyframes_of_an_indexed_file_are_read(decode) -> None:
    intra = Clip(container="mov", codec="prores_ks", pix_fmt="yuv422p10le", gop=1, width=640, height=480, options=clips.FASTSTART)
    clip = clips.make(intra)
    source = clips.Bytes(clip)
    assert len(decode(source, policy=KeyframePolicy(min_gap_seconds=0, max_per_video=2))) == 2
    assert source.bytes_read < len(clip) * 0.7


def test_pictures_are_scaled_down_to_fit_and_never_up(decode) -> None:
    clip = clips.make(Clip(width=320, height=240, frames=1))
    sizes = [(640, 480), (160, 4096), (4096, 60)]
    found = [decode(clip, image=ImageSize(max_width=width, max_height=height))[0].picture for width, height in sizes]
    assert [(picture.width, picture.height) for picture in found] == [(320, 240), (160, 120), (80, 60)]
    assert all(clips.number_of(picture.array) == 0 for picture in found)


def test_a_strip_of_pixels_stays_a_picture(decode) -> None:
    picture = decode(clips.make(Clip(width=2048, height=16, frames=1)), image=ImageSize(max_width=32, max_height=32))[0].picture
    assert (picture.width, picture.height, len(picture.body)) == (32, 1, 96)


def test_a_keyframe_that_does_not_decode_is_dead_and_the_others_go_on(decode) -> None:
    clip = clips.make(Clip(codec="mpeg4"))
    start, end = clips.key_samples(clip)[1]
    found = decode(clips.scrambled(clip, start, end))
    assert [isinstance(frame, DeadFrame) for frame in found] == [False, True, False, False]
    dead = found[1]
    assert isinstance(dead, DeadFrame)
    assert (dead.frame_index, dead.frames_chosen, dead.pts_seconds, dead.error.reason) == (1, 4, 1.0, Reason.CORRUPT)
    assert dead.error.log_tail


def test_a_damaged_keyframe_is_dead_rather_than_guessed(decode) -> None:
    clip = clips.make(Clip(width=320, height=240, codec_options={"crf": "1", "bf": "0"}))
    start, end = clips.key_samples(clip)[2]
    found = decode(clips.scrambled(clip, (start + end) // 2, end))
    assert [isinstance(frame, DeadFrame) for frame in found] == [False, False, True, False]


def test_a_cut_file_with_its_index_in_front_loses_its_last_keyframes(decode) -> None:
    found = decode(clips.bad_files()["truncated_index_in_front.mp4"]())
    reasons = [frame.error.reason if isinstance(frame, DeadFrame) else None for frame in found]
    assert reasons == [None, None, None, Reason.TRUNCATED]
    assert [frame.pts_seconds for frame in found][:3] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "whole",
    [
        Clip(container="matroska"),
        Clip(container="webm", codec="libvpx-vp9"),
        Clip(options=clips.FRAGMENTED),
        Clip(container="avi", codec="mpeg4"),
        Clip(container="flv", frames=100),
    ],
    ids=lambda clip: f"{clip.container} {clip.codec} {dict(clip.options)}",
)
def test_a_cut_stream_gives_what_it_has_and_one_dead_frame_for_the_rest(whole: Clip, decode) -> None:
    clip = clips.make(whole)
    *good, last = decode(clip[: len(clip) * 2 // 3])
    assert [clips.number_of(frame.picture.array) for frame in good] == [10 * index for index in range(len(good))]
    assert len(good) >= 2
    assert isinstance(last, DeadFrame)
    assert (last.frame_index, last.pts_seconds, last.error.reason) == (len(good), None, Reason.TRUNCATED)
    assert {frame.frames_chosen for frame in [*good, last]} == {len(good) + 1}


def test_a_file_of_dead_keyframes_is_dead_frame_by_frame(decode) -> None:
    clip = clips.make(Clip(codec="mpeg4"))
    for start, end in clips.key_samples(clip):
        clip = clips.scrambled(clip, start, end)
    assert [frame.error.reason for frame in decode(clip) if isinstance(frame, DeadFrame)] == [Reason.CORRUPT] * 4


@pytest.mark.parametrize("name", ["zeros", "noise", "half a header"])
def test_nonsense_is_refused_without_a_crash(name: str, decode) -> None:
    clip = clips.make(Clip(container="matroska"))
    body = {"zeros": bytes(5000), "noise": clips.scrambled(clip, 0, len(clip)), "half a header": clip[:30]}[name]
    with pytest.raises(PermanentError) as caught:
        decode(body)
    assert caught.value.reason in {Reason.NOT_A_VIDEO, Reason.CORRUPT, Reason.TRUNCATED}
