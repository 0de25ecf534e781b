"""High dynamic range and wide gamuts, against the standards' own numbers."""

import av
import clips
import numpy as np
import pytest
from clips import Clip
from colour_cards import LIMITED, bars_of, card, ycbcr_frame

from schemas.recipe import ImageSize
from workers.media.pictures.hdr import nits_to_pq, pq_to_nits, tone_mapped

BT2020, PQ, HLG, SDR_2020, P3 = 9, 16, 18, 14, 12
HDR10 = {"colorspace": BT2020, "color_primaries": BT2020, "color_trc": PQ, "color_range": LIMITED}
RED_OF_709_IN_2020 = (0.627404, 0.069097, 0.016391)
"""BT.2087-0, equation 3: linear light."""
NITS = (0, 1, 5, 20, 50, 80, 100, 203, 400, 600, 800, 1000, 2000, 4000, 8000, 10000)


def pq(nits: object) -> np.ndarray:
    return nits_to_pq(np.asarray(nits, float))


def srgb(light: float) -> float:
    """IEC 61966-2-1, 8 bits."""
    return 255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


def shot(signal: np.ndarray, colours: dict[str, int], *, x265: str = "") -> bytes:
    """A video of one frame of bars, 10 bits, coded without loss."""
    options = {"preset": "ultrafast", "x265-params": f"lossless=1:log-level=none:pools=none:frame-threads=1{x265}"}

    def frame() -> av.VideoFrame:
        made = ycbcr_frame(card(256, 64, signal * 255), "yuv420p10le", matrix=BT2020, full=False)
        for name, value in colours.items():
            setattr(made, name, value)
        return made

    clip = Clip(
        container="matroska",
        codec="libx265",
        width=256,
        height=64,
        frames=1,
        pix_fmt="yuv420p10le",
        paint=lambda _: frame(),
        colours=colours,
    )
    return clips.make(Clip(**(vars(clip) | {"codec_options": options})))


def greys(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[:, None], 3, axis=1)


def test_pq_has_the_values_that_the_standard_prints() -> None:
    assert np.allclose(pq([0.0, 100.0, 203.0, 1000.0, 10000.0]), [0.0, 0.508078, 0.580689, 0.751827, 1.0], atol=1e-5)
    assert np.allclose(pq_to_nits(pq(NITS)), NITS, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("peak", [203.0, 600.0, 1000.0, 4000.0, 10000.0])
def test_tones_are_bent_below_sdr_white_and_never_cross(peak: float) -> None:
    nits = np.linspace(0, peak, 4000)
    mapped = pq_to_nits(tone_mapped(pq(nits), peak_nits=peak))
    assert (np.diff(mapped) >= -1e-9).all()
    assert mapped.max() == pytest.approx(203.0, rel=1e-3)
    assert np.allclose(mapped[nits < 10], nits[nits < 10], rtol=1e-6)


def test_pq_greys_stay_grey_and_dark_ones_stay_what_they_are(decode) -> None:
    bars = bars_of(decode(shot(greys(pq(NITS)), HDR10))[0].picture.array)
    assert (bars.max(axis=1) - bars.min(axis=1)).max() <= 2
    assert (np.diff(bars[:, 1]) >= 0).all()
    for nits, level in zip(NITS[:6], bars[:6, 1], strict=True):
        assert level == pytest.approx(srgb(nits / 203), abs=3)
    assert bars[7, 1] == pytest.approx(srgb(159 / 203), abs=3)  # reference white is bent, since brighter things must fit above it
    assert bars[11, 1] >= 253


def test_high_dynamic_range_survives_scaling(decode) -> None:
    clip = shot(greys(pq(NITS)), HDR10)
    large, small = (decode(clip, image=ImageSize(max_width=width, max_height=64))[0].picture.array for width in (256, 96))
    assert small.shape == (24, 96, 3)
    assert np.abs(bars_of(large) - bars_of(small)).max() <= 2


def test_a_colour_inside_of_bt709_comes_out_of_bt2020_as_itself(decode) -> None:
    red = pq(np.asarray([RED_OF_709_IN_2020]) * 80)
    bars = bars_of(decode(shot(np.repeat(red, 16, axis=0), HDR10))[0].picture.array)
    assert np.allclose(bars[8], (srgb(80 / 203), 0, 0), atol=6)


def test_the_peak_that_the_video_states_is_believed(decode) -> None:
    bright = [7, 11]
    usual, told, mastered = (
        bars_of(decode(shot(greys(pq(NITS)), HDR10, x265=extra))[0].picture.array)[bright, 1]
        for extra in (
            "",
            ":max-cll=4000,400",
            ":master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(40000000,50)",
        )
    )
    assert (usual >= told + 4).all()
    assert list(told) == list(mastered)


def test_hlg_is_shown_as_on_its_nominal_display(decode) -> None:
    signal = np.linspace(0, 1, 16)
    bars = bars_of(decode(shot(greys(signal), HDR10 | {"color_trc": HLG}))[0].picture.array)
    assert (bars.max(axis=1) - bars.min(axis=1)).max() <= 2
    assert (np.diff(bars[:, 1]) > 0).all()
    assert (bars[0, 1], bars[15, 1]) == (0, 255)
    reference = bars_of(decode(shot(greys(np.full(16, 0.75)), HDR10 | {"color_trc": HLG}))[0].picture.array)[8, 1]
    assert reference == pytest.approx(srgb(159 / 203), abs=3)  # 75 % is reference white (BT.2408-7, table 1)


def test_a_wide_gamut_without_high_range_loses_its_gamut_alone(decode) -> None:
    sdr = HDR10 | {"color_trc": SDR_2020}
    bars = bars_of(decode(shot(greys(np.linspace(0, 1, 16)), sdr))[0].picture.array)
    assert np.allclose(bars[:, 1], np.linspace(0, 255, 16), atol=3)
    red = np.asarray([srgb(light) / 255 for light in RED_OF_709_IN_2020])
    assert np.allclose(bars_of(decode(shot(np.tile(red, (16, 1)), sdr))[0].picture.array)[8], (255, 0, 0), atol=8)


def test_p3_red_is_more_than_srgb_can_show(decode) -> None:
    p3 = HDR10 | {"color_trc": 1, "color_primaries": P3}
    assert np.allclose(bars_of(decode(shot(np.tile([0.8, 0, 0], (16, 1)), p3))[0].picture.array)[8], (srgb(0.6038 * 1.22494), 0, 0), atol=4)
