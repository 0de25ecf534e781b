import itertools

import clips
import numpy as np
import pytest
from slides import show, view

from schemas.recipe import ImageSize, KeyframePolicy
from workers.keyframe import Form
from workers.media.sandbox import Decoder
from workers.similarity import CELLS, distance, thumbnail

GREY = np.full((270, 480, 3), 128, np.uint8)


def apart(one: np.ndarray, other: np.ndarray) -> int:
    return distance(thumbnail(one), thumbnail(other))


def with_square(side: int, level: int) -> np.ndarray:
    pixels = GREY.copy()
    pixels[100 : 100 + side, 200 : 200 + side] = level
    return pixels


def noisy(seed: int) -> np.ndarray:
    """The grey picture with the noise of a camera on it."""
    noise = np.random.default_rng(seed).normal(scale=8, size=GREY.shape)
    return np.clip(GREY + noise, 0, 255).astype(np.uint8)


def test_a_thumbnail_holds_the_mean_colour_of_every_cell() -> None:
    levels = np.arange(CELLS * CELLS * 3, dtype=np.uint8).reshape(CELLS, CELLS, 3)
    drawn = levels.repeat(9, axis=0).repeat(16, axis=1)
    assert thumbnail(drawn) == levels.tobytes()


def test_the_distance_is_that_of_the_cell_and_colour_that_differ_most() -> None:
    one = np.zeros((CELLS, CELLS, 3), np.uint8)
    other = one.copy()
    other[3, 4], other[7, 8] = (1, 2, 3), (0, 40, 0)
    assert distance(one.tobytes(), other.tobytes()) == distance(other.tobytes(), one.tobytes()) == 40
    assert distance(one.tobytes(), one.tobytes()) == 0
    assert distance(one.tobytes(), bytes([255]) * len(one.tobytes())) == 255


def test_noise_hardly_counts() -> None:
    assert all(apart(noisy(one), noisy(other)) <= 3 for one, other in itertools.pairwise(range(5)))


def test_a_small_thing_counts_although_the_mean_of_the_picture_hardly_changes() -> None:
    assert abs(with_square(30, 255).mean() - GREY.mean()) < 1
    assert apart(GREY, with_square(30, 255)) > 60


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (168, 128, 128)])
def test_a_plain_picture_of_another_colour_is_another_picture(colour: tuple[int, int, int]) -> None:
    assert apart(GREY, np.full_like(GREY, colour)) >= 40


def test_a_change_grows_with_what_changes() -> None:
    grown = [apart(GREY, with_square(20, level)) for level in (128, 138, 168, 248)]
    assert grown == sorted(set(grown))
    assert grown[0] == 0


def test_the_same_scene_in_another_size_is_no_other() -> None:
    ramp = np.linspace(0, 255, 480).astype(np.uint8)[None, :, None].repeat(270, axis=0).repeat(3, axis=2)
    assert apart(ramp, ramp[::2, ::2]) <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 480), (480, 1), (7, 15), (16, 16), (17, 31)])
def test_any_shape_has_a_thumbnail(shape: tuple[int, int]) -> None:
    assert thumbnail(np.full((*shape, 3), 77, np.uint8)) == bytes([77]) * (CELLS * CELLS * 3)


@pytest.mark.parametrize("form", Form)
def test_the_decoder_makes_thumbnails_only_where_near_duplicates_are_skipped(form: Form) -> None:
    clip = show([view("dawn"), view("day")])
    with Decoder() as decoder:
        made = [
            [frame.thumbnail for frame in decoder.keyframes(clips.Bytes(clip), policy=policy, image=ImageSize(), form=form)]
            for policy in (KeyframePolicy(), KeyframePolicy(duplicate_distance=8))
        ]
    assert made[0] == [None, None]
    assert all(distance(found, thumbnail(view(look))) <= 4 for found, look in zip(made[1], ("dawn", "day"), strict=True))
