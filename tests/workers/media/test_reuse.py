"""Where a source is trusted, a child takes one video after the other; nowhere else."""

import os
import signal
from collections.abc import Iterator

import clips
import pytest
from clips import Bytes, Clip
from processes import children_of, eventually, is_alive, zygotes

from schemas.errors import PermanentError
from schemas.recipe import ImageSize, KeyframePolicy
from workers.media import Limits
from workers.media.forks.forkserver import ForkServer
from workers.media.sandbox import Decoder

ALL = KeyframePolicy(min_gap_seconds=0, max_per_video=0)


@pytest.fixture
def trusting() -> Iterator[tuple[Decoder, int]]:
    """A decoder of a trusted source, with its zygote's pid."""
    before = set(zygotes())
    with Decoder(forkserver=ForkServer(reused=True)) as decoder:
        decoder.layers()
        (zygote,) = set(zygotes()) - before
        yield decoder, zygote


def numbers(decoder: Decoder, clip: bytes, **image: int) -> list[int]:
    frames = decoder.keyframes(Bytes(clip), policy=ALL, image=ImageSize(**image))
    return [clips.number_of(frame.picture.array) for frame in frames]


def test_a_child_takes_one_video_after_the_other(trusting: tuple[Decoder, int]) -> None:
    decoder, zygote = trusting
    made = [clips.make(Clip()), clips.make(Clip(container="matroska", frames=20)), clips.make(Clip(gop=5))]
    seen = set()
    for clip, count in zip(made, (4, 2, 8), strict=True):
        assert numbers(decoder, clip) == list(range(0, 20 if count == 2 else 40, 5 if count == 8 else 10))
        seen.update(children_of(zygote))
    assert len(seen) == 1


def test_without_trust_no_child_sees_two_videos() -> None:
    before = set(zygotes())
    with Decoder() as decoder:
        decoder.layers()
        (zygote,) = set(zygotes()) - before
        assert numbers(decoder, clips.make(Clip())) == [0, 10, 20, 30]
        assert children_of(zygote) == []


def test_a_video_that_goes_wrong_ends_its_child(trusting: tuple[Decoder, int]) -> None:
    decoder, zygote = trusting
    with pytest.raises(PermanentError):
        numbers(decoder, b"no video at all" * 100)
    assert children_of(zygote) == []


def test_a_consumer_that_leaves_early_ends_the_child(trusting: tuple[Decoder, int]) -> None:
    decoder, zygote = trusting
    frames = decoder.keyframes(Bytes(clips.make(Clip(gop=1))), policy=ALL, image=ImageSize())
    next(frames)
    frames.close()
    assert children_of(zygote) == []


def test_a_child_that_died_at_rest_is_not_missed(trusting: tuple[Decoder, int]) -> None:
    decoder, zygote = trusting
    clip = clips.make(Clip())
    numbers(decoder, clip)
    (child,) = children_of(zygote)
    os.kill(child, signal.SIGKILL)
    assert eventually(lambda: not children_of(zygote))
    assert numbers(decoder, clip) == [0, 10, 20, 30]


def test_a_child_at_rest_makes_room_for_pictures_of_another_size(trusting: tuple[Decoder, int]) -> None:
    decoder, zygote = trusting
    clip = clips.make(Clip())
    numbers(decoder, clip)
    assert numbers(decoder, clip, max_width=64, max_height=64) == [0, 10, 20, 30]
    assert len(children_of(zygote)) == 1


def test_a_child_rests_no_more_when_half_of_its_cpu_is_used() -> None:
    before = set(zygotes())
    with Decoder(forkserver=ForkServer(reused=True), limits=Limits(cpu_seconds=1)) as decoder:
        decoder.layers()
        (zygote,) = set(zygotes()) - before
        seen = set[int]()
        clip = clips.make(Clip(width=1280, height=720, frames=12, gop=1))
        while len(seen) < 2:
            numbers(decoder, clip)
            seen.update(children_of(zygote))


def test_closing_the_decoder_ends_children_at_rest(trusting: tuple[Decoder, int]) -> None:
    decoder, zygote = trusting
    numbers(decoder, clips.make(Clip()))
    (child,) = children_of(zygote)
    decoder.close()
    assert eventually(lambda: not is_alive(child))
