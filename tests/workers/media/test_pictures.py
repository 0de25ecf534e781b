"""Shape, place and moment of pictures: turned, oblong, interlaced, changing in mid-stream, refreshed gradually."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import av
import clips
import numpy as np
import pytest
import splices
from av.filter.graph import Graph
from clips import Clip, Pixels

from schemas.reasons import Reason
from schemas.recipe import ImageSize
from workers.keyframe import DeadFrame, Keyframe
from workers.media.pictures.deinterlace import progressive

ORIENTATIONS = [(a, 0, 0, d) for a, d in product((1, -1), repeat=2)] + [(0, b, c, 0) for b, c in product((1, -1), repeat=2)]


def shown(pixels: Pixels, matrix: tuple[int, int, int, int]) -> Pixels:
    """Move every pixel by the display matrix, one by one."""
    a, b, c, d = matrix
    height, width, _ = pixels.shape
    places = {(a * x + c * y, b * x + d * y): pixels[y, x] for y in range(height) for x in range(width)}
    left, top = min(x for x, _ in places), min(y for _, y in places)
    moved = np.zeros((height, width, 3) if a else (width, height, 3), np.uint8)
    for (x, y), pixel in places.items():
        moved[y - top, x - left] = pixel
    return moved


@pytest.mark.parametrize("matrix", ORIENTATIONS)
@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_all_eight_orientations_are_put_upright(container: str, matrix: tuple[int, int, int, int], decode) -> None:
    clip = Clip(container=container, frames=1, width=64, height=48)
    (plain,) = decode(clips.make(clip))
    (frame,) = decode(clips.make(Clip(container=container, frames=1, width=64, height=48, display_matrix=matrix)))
    assert np.array_equal(frame.picture.array, shown(plain.picture.array, matrix))
    assert (frame.source_width, frame.source_height) == (64, 48)


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (-90, 3)])
@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_a_turned_picture_is_put_upright(container: str, degrees: int, turns: int, decode) -> None:
    plain, turned = (decode(clips.make(Clip(container=container, frames=11, rotation=rotation))) for rotation in (0, degrees))
    for before, after in zip(plain, turned, strict=True):
        assert np.array_equal(after.picture.array, np.rot90(before.picture.array, turns))


def test_a_turned_picture_fits_the_size_asked_for(decode) -> None:
    clip = clips.make(Clip(width=320, height=160, frames=1, rotation=90))
    picture = decode(clip, image=ImageSize(max_width=100, max_height=100))[0].picture
    assert (picture.width, picture.height) == (50, 100)


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(2), (128, 48)), (Fraction(1, 2), (64, 96)), (Fraction(100), (128, 96))])
@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "avi", "flv"])
def test_oblong_pixels_are_made_square_by_shrinking(container: str, aspect: Fraction, size: tuple[int, int], decode) -> None:
    picture = decode(clips.make(Clip(container=container, frames=1, pixel_aspect=aspect)))[0].picture
    assert (picture.width, picture.height) == size


CHANGING = (
    Clip(frames=20),
    Clip(frames=20, width=160, height=128),
    Clip(frames=20, pix_fmt="yuv420p10le", codec_options={"profile": "high10"}),
    Clip(frames=20, pix_fmt="yuv444p", codec_options={"profile": "high444"}),
)


@pytest.mark.parametrize(
    ("container", "options"), [("mp4", {}), ("mp4", clips.FRAGMENTED), ("matroska", {}), ("mpegts", {}), ("avi", {}), ("flv", {})]
)
def test_size_and_form_may_change_in_mid_stream(container: str, options: dict[str, str], decode) -> None:
    found = decode(splices.joined(CHANGING, container=container, options=options))
    sizes = [(128, 96), (128, 96), (160, 128), (160, 128), (128, 96), (128, 96), (128, 96), (128, 96)]
    assert [(frame.picture.width, frame.picture.height) for frame in found] == sizes
    assert [(frame.source_width, frame.source_height) for frame in found] == sizes
    assert [clips.number_of(frame.picture.array) for frame in found] == [0, 10] * 4
    for frame in found:
        assert np.allclose(frame.picture.array[-10, 10], (200, 20, 20), atol=12)


@pytest.mark.parametrize("container", ["mpegts", "flv"])
def test_the_shape_of_pixels_may_change_in_mid_stream_where_the_container_is_silent(container: str, decode) -> None:
    parts = [Clip(frames=10, pixel_aspect=Fraction(2)), Clip(frames=10, pixel_aspect=Fraction(1, 2)), Clip(frames=10)]
    found = decode(splices.joined(parts, container=container))
    assert [(frame.picture.width, frame.picture.height) for frame in found] == [(128, 48), (64, 96), (128, 96)]


def fields(pixels: Pixels, order: str, pix_fmt: str) -> av.VideoFrame:
    """Make a frame that says of itself that its lines are of two moments."""
    frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=pix_fmt)
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("setfield", order), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def woven() -> Pixels:
    """A white bar that moves by a third of the picture between the fields: on the even lines at 32, on the odd at 72."""
    lines = np.full((96, 128, 3), 40, np.uint8)
    lines[0::2, 16:48] = 220
    lines[1::2, 56:88] = 220
    return lines


def combing(pixels: Pixels) -> float:
    """How much lines differ from both their neighbours, to the same side; the outermost lines have too few to tell."""
    above, line, below = (pixels[rows, :, 1].astype(float) for rows in (slice(4, -6), slice(5, -5), slice(6, -4)))
    return float(np.clip((line - above) * (line - below), 0, None).mean() ** 0.5)


INTERLACED = {
    "h264": Clip(codec_options={"flags": "+ildct", "crf": "5"}),
    "mpeg2": Clip(container="matroska", codec="mpeg2video", rate=25, codec_options={"flags": "+ildct+ilme", "b": "20000000"}),
    "prores": Clip(container="mov", codec="prores_ks", pix_fmt="yuv422p10le", codec_options={"flags": "+ildct"}),
}


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("kind", INTERLACED)
def test_of_two_fields_the_first_alone_is_shown(kind: str, order: str, decode) -> None:
    whole = INTERLACED[kind]
    clip = clips.make(replace(whole, frames=3, gop=1, paint=lambda _: fields(woven(), order, whole.pix_fmt)))
    assert combing(splices.frames_of(clip)[0].to_ndarray(format="rgb24")) > 50
    for frame in decode(clip):
        picture = frame.picture.array
        assert picture.shape[:2] == (96, 128)
        assert combing(picture) < 5
        assert (picture[48, 32, 1] > 180, picture[48, 72, 1] > 180) == (order == "tff", order == "bff")


def test_material_that_is_interlaced_by_name_only_keeps_its_detail() -> None:
    y, x = np.mgrid[0:96, 0:128]
    waves = np.uint8(128 + 60 * np.sin(y * 2 * np.pi / 6 + x / 20))
    frame = fields(np.dstack([waves] * 3), "tff", "yuv420p")
    before, after = (part.to_ndarray(format="gray").astype(float)[4:-4] for part in (frame, progressive(frame)))
    from_one_field = before.copy()
    from_one_field[1:-1:2] = (before[:-2:2] + before[2::2]) / 2
    assert not progressive(frame).interlaced_frame
    assert np.square(before - after).mean() < np.square(before - from_one_field).mean() / 3


REFRESHED = {"preset": "ultrafast", "x264-params": "intra-refresh=1:keyint=10:scenecut=0", "bf": "0"}


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_of_a_gradual_refresh_no_half_picture_is_made(container: str, decode) -> None:
    first, *others = decode(clips.make(Clip(container=container, codec_options=REFRESHED)))
    assert isinstance(first, Keyframe)
    assert clips.number_of(first.picture.array) == 0
    assert [frame.error.reason for frame in others if isinstance(frame, DeadFrame)] == [Reason.UNSUPPORTED_CODEC] * 3
    assert "gradually" in str(others[0].error)
