"""Known colours go in, coded by hand; the same come out of the child, whatever form they travelled in."""

from collections.abc import Callable

import av
import clips
import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg
from clips import Clip
from colour_cards import BARS, FULL, LIMITED, LUMA, UNSPECIFIED, bars_of, card, ycbcr_frame

from schemas.reasons import Reason
from workers.keyframe import DeadFrame, Form

LOSSLESS = {"preset": "ultrafast", "qp": "0"}
LOSSLESS_HEVC = {"preset": "ultrafast", "x265-params": "lossless=1:log-level=none:pools=none:frame-threads=1"}
H264, HEVC, FFV1, PRORES = (
    ("libx264", "mp4", LOSSLESS),
    ("libx265", "mp4", LOSSLESS_HEVC),
    ("ffv1", "matroska", {}),
    ("prores_ks", "mov", {"qscale": "1"}),
)
BT601, BT709, YCGCO = 6, 1, 8
JPEGS_OWN_ERROR = 6
"""Levels that a file of quality 90 may be off in the middle of a bar."""


def still(
    make_frame: Callable[[], av.VideoFrame], codec: str, container: str, options: dict[str, str], colours: dict[str, int] | None = None
) -> bytes:
    """A video of two frames, both keyframes, of a picture."""
    frame = make_frame()
    clip = Clip(container, codec, frame.width, frame.height, frames=2, gop=1, pix_fmt=frame.format.name, paint=lambda _: make_frame())
    return clips.make(Clip(**(vars(clip) | {"codec_options": options, "colours": colours or {}})))


def worst(pixels: np.ndarray, wanted: npt.ArrayLike = BARS) -> int:
    """By how many levels the worst bar is off."""
    wanted = np.asarray(wanted)
    return int(np.abs(bars_of(pixels, len(wanted)) - wanted).max())


@pytest.mark.parametrize("extent", [FULL, LIMITED])
@pytest.mark.parametrize("matrix", LUMA)
def test_matrix_and_range_are_honoured(matrix: int, extent: int, decode) -> None:
    colours = {"colorspace": matrix, "color_range": extent}
    clip = still(lambda: ycbcr_frame(card(), "yuv420p", matrix=matrix, full=extent == FULL), *H264, colours)
    assert worst(decode(clip)[0].picture.array) <= 3


@pytest.mark.parametrize(("size", "matrix"), [((640, 480), BT601), ((720, 576), BT601), ((1280, 544), BT709), ((960, 640), BT709)])
def test_a_frame_that_does_not_say_is_taken_for_what_its_size_suggests(size: tuple[int, int], matrix: int, decode) -> None:
    def silent() -> av.VideoFrame:
        frame = ycbcr_frame(card(size[0] // 16 * 16, size[1]), "yuv420p", matrix=matrix, full=False)
        frame.colorspace, frame.color_range = UNSPECIFIED, 0
        return frame

    assert worst(decode(still(silent, *H264))[0].picture.array) <= 3


FORMS = [
    *((form, H264) for form in ("yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le")),
    *((form, HEVC) for form in ("yuv420p", "yuv422p12le", "yuv444p12le")),
    *((form, FFV1) for form in ("yuv440p", "yuv411p", "yuv410p", "yuv420p16le", "yuva420p", "yuva444p10le")),
    ("yuv422p10le", PRORES),
    ("yuva444p10le", PRORES),
]


@pytest.mark.parametrize(("form", "how"), FORMS)
def test_every_form_of_ycbcr_gives_the_same_colours(form: str, how: tuple[str, str, dict[str, str]], decode) -> None:
    colours = {"colorspace": BT709, "color_range": LIMITED}
    clip = still(lambda: ycbcr_frame(card(256, 64), form, matrix=BT709, full=False), *how, colours)
    assert worst(decode(clip)[0].picture.array) <= 3


def rgb_frame(form: str, pixels: np.ndarray) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=form)


RGB_FORMS = [
    ("gbrp", HEVC),
    ("gbrp10le", HEVC),
    ("bgr0", FFV1),
    ("bgra", FFV1),
    ("rgb48le", FFV1),
    ("rgb24", ("png", "mov", {})),
    ("rgba", ("png", "mov", {})),
    ("rgb24", ("qtrle", "mov", {})),
    ("argb", ("qtrle", "mov", {})),
]


@pytest.mark.parametrize(("form", "how"), RGB_FORMS)
def test_rgb_in_any_order_and_depth_stays_what_it_is(form: str, how: tuple[str, str, dict[str, str]], decode) -> None:
    pixels = np.uint8(card() * 255)
    assert worst(decode(still(lambda: rgb_frame(form, pixels), *how))[0].picture.array) <= 1


GREYS = np.asarray([[level] * 3 for level in range(0, 256, 17)])


@pytest.mark.parametrize("extent", [FULL, LIMITED])
@pytest.mark.parametrize(("form", "how"), [("gray", HEVC), ("gray10le", HEVC), ("gray", H264), ("gray16le", FFV1)])
def test_grey_runs_from_black_to_white(form: str, how: tuple[str, str, dict[str, str]], extent: int, decode) -> None:
    colours = {"color_range": extent, "colorspace": BT709}

    def grey() -> av.VideoFrame:
        return ycbcr_frame(card(bars=GREYS), form, matrix=BT709, full=extent == FULL)

    assert worst(decode(still(grey, *how, colours))[0].picture.array, GREYS) <= 3


def test_grey_that_does_not_say_is_of_full_range(decode) -> None:
    def grey() -> av.VideoFrame:
        frame = ycbcr_frame(card(bars=GREYS), "gray", matrix=BT709, full=True)
        frame.color_range = 0
        return frame

    assert worst(decode(still(grey, *FFV1))[0].picture.array, GREYS) <= 3


def test_a_palette_is_looked_up(decode) -> None:
    palette = np.zeros((256, 4), np.uint8)
    palette[: len(BARS), 1:], palette[:, 0] = BARS, 255
    places = np.repeat(np.arange(len(BARS), dtype=np.uint8), 16)[None].repeat(64, axis=0)
    clip = still(lambda: av.VideoFrame.from_ndarray((places, palette), "pal8"), "png", "mov", {})
    assert worst(decode(clip)[0].picture.array) <= 1


def see_through(alpha: int) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.dstack([np.uint8(card() * 255), np.full((64, 256), alpha, np.uint8)]), "rgba")


@pytest.mark.parametrize("alpha", [51, 128, 255])
def test_what_can_be_seen_through_lies_over_black(alpha: int, decode) -> None:
    clip = still(lambda: see_through(alpha), "png", "mov", {})
    assert worst(decode(clip)[0].picture.array, np.asarray(BARS) * alpha // 255) <= 1


def test_alpha_that_nobody_filled_hides_nothing(decode) -> None:
    assert worst(decode(still(lambda: see_through(0), "png", "mov", {}))[0].picture.array) <= 1


def test_colours_without_a_way_to_srgb_are_dead_frames_however_many(decode) -> None:
    def strange() -> av.VideoFrame:
        frame = ycbcr_frame(card(), "yuv444p", matrix=BT709, full=False)
        frame.colorspace = YCGCO
        return frame

    clip = Clip(width=256, height=64, pix_fmt="yuv444p", frames=20, gop=1, paint=lambda _: strange(), colours={"colorspace": YCGCO})
    found = decode(clips.make(clip))
    assert [frame.error.reason for frame in found if isinstance(frame, DeadFrame)] == [Reason.UNSUPPORTED_CODEC] * 20
    assert "YCGCO" in str(found[0].error)


WAYS = {
    "4:2:0": lambda: still(lambda: ycbcr_frame(card(256, 64), "yuv420p", matrix=BT709, full=False), *H264, {"colorspace": BT709}),
    "4:4:4": lambda: still(lambda: ycbcr_frame(card(256, 64), "yuv444p", matrix=BT709, full=False), *H264, {"colorspace": BT709}),
    "rgb": lambda: still(lambda: rgb_frame("rgb24", np.uint8(card() * 255)), "png", "mov", {}),
    "alpha": lambda: still(lambda: see_through(255), "png", "mov", {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_jpeg_shows_the_colours_of_the_packed_picture(way: str, decode) -> None:
    clip = WAYS[way]()
    assert worst(simplejpeg.decode_jpeg(decode(clip, form=Form.JPEG)[0].picture.jpeg)) <= JPEGS_OWN_ERROR


def test_a_turned_jpeg_stands_as_the_packed_picture_does(decode) -> None:
    clip = clips.make(Clip(rotation=90))
    packed, jpeg = decode(clip)[0].picture.array, simplejpeg.decode_jpeg(decode(clip, form=Form.JPEG)[0].picture.jpeg)
    assert packed.shape == jpeg.shape
    assert np.abs(packed.astype(int) - jpeg).mean() < JPEGS_OWN_ERROR
