"""High dynamic range and wide gamut to sRGB, in linear light, in numpy: no filter of PyAV's FFmpeg does it.

Everything here works on small pictures, already scaled, as three planes (red, green, blue) of 16-bit code values. Light is measured
against SDR's white, so that 1.0 is sRGB's white.
"""

from collections.abc import Sequence
from enum import Enum, auto
from functools import cache

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint16]
Light = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

WHITE_NITS = 203.0
"""Of HDR reference white (ITU-R BT.2408-7, table 1), which becomes SDR's white."""
USUAL_PEAK_NITS = 1000.0
"""Of the display that most HDR is graded on, and HLG's nominal one (BT.2100-2, table 5, note 5f)."""
LARGEST_NITS = 10_000.0
TABLE_BITS = 12
TABLE = 1 << TABLE_BITS
COARSER = np.uint16(16 - TABLE_BITS)
OUTPUT_TABLE = 1 << 14
STRIP_ROWS = 64
"""Rows worked on at once: they stay in the cache, and memory stays small."""
BT2020_TO_BT709 = ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008349), (-0.018151, -0.100579, 1.118730))
"""ITU-R BT.2087-0, inverted."""
P3_TO_BT709 = ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078636, 1.098274))
"""SMPTE EG 432-1 (P3 with the white point D65) to BT.709."""
BT2020_LUMA = (0.2627, 0.6780, 0.0593)
HLG_GAMMA = 1.2
SRGB_TOE = 0.0031308
"""Light below which sRGB is linear."""
Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]


class Transfer(Enum):
    """What code values say of light."""

    PQ = auto()
    HLG = auto()
    SRGB = auto()


def to_srgb(planes: Sequence[Codes], transfer: Transfer, matrix: Matrix | None, *, peak_nits: float = USUAL_PEAK_NITS) -> Pixels:
    """Turn three planes of shape (height, width) into sRGB pixels of shape (height, width, 3).

    Tones are mapped by the largest of red, green and blue, so that hues stay; what is outside of BT.709 then is clipped (BT.2407-0, 2.1).
    """
    height, width = planes[0].shape
    pixels = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, STRIP_ROWS):
        rows = slice(top, top + STRIP_ROWS)
        light = _sdr_light(np.stack([plane[rows] >> COARSER for plane in planes]), transfer, peak_nits)
        for channel, plane in enumerate(light if matrix is None else _mixed(light, matrix)):
            steps = np.clip(plane, 0.0, 1.0) * np.float32(OUTPUT_TABLE - 1) + np.float32(0.5)
            pixels[rows, :, channel] = _srgb_bytes()[steps.astype(np.uint16)]
    return pixels


def _sdr_light(codes: Codes, transfer: Transfer, peak_nits: float) -> Light:
    match transfer:
        case Transfer.SRGB:
            return _srgb_light()[codes]
        case Transfer.PQ:
            return np.asarray(_pq_light()[codes] * _gains(peak_nits)[codes.max(axis=0)])
        case Transfer.HLG:
            light = _hlg_display_light(codes)
            brightest = light.max(axis=0) * np.float32((TABLE - 1) * WHITE_NITS / USUAL_PEAK_NITS)
            return np.asarray(light * _hlg_gains()[np.minimum(brightest, TABLE - 1).astype(np.uint16)])


def _mixed(light: Light, matrix: Matrix) -> list[Light]:
    red, green, blue = light
    return [red * np.float32(r) + green * np.float32(g) + blue * np.float32(b) for r, g, b in matrix]


def _hlg_display_light(codes: Codes) -> Light:
    """BT.2100-2, table 5: the scene's light, then the OOTF of a display of the usual peak."""
    scene = _hlg_scene_light()[codes]
    luma = sum(np.float32(share) * plane for share, plane in zip(BT2020_LUMA, scene, strict=True))
    return np.asarray(scene * np.power(luma, HLG_GAMMA - 1.0) * np.float32(USUAL_PEAK_NITS / WHITE_NITS), np.float32)


def pq_to_nits(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """SMPTE ST 2084's EOTF (BT.2100-2, table 4)."""
    root = signal ** (1 / 78.84375)
    return LARGEST_NITS * (np.maximum(root - 0.8359375, 0.0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)


def nits_to_pq(nits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """SMPTE ST 2084's inverse EOTF."""
    power = (nits / LARGEST_NITS) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def tone_mapped(signal: npt.NDArray[np.float64], *, peak_nits: float) -> npt.NDArray[np.float64]:
    """ITU-R BT.2390-11, 5.4.1: bend PQ signals of a source that peaks at `peak_nits` below SDR's white; shadows and mid-tones stay."""
    largest, white = (float(nits_to_pq(np.asarray(nits))) for nits in (max(peak_nits, WHITE_NITS), WHITE_NITS))
    ceiling = white / largest
    knee = 1.5 * ceiling - 0.5
    relative = np.minimum(signal / largest, 1.0)
    t = np.maximum(relative - knee, 0.0) / max(1.0 - knee, 1e-9)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * ceiling
    return np.asarray(np.where(relative < knee, relative, spline) * largest)


def _ramp() -> npt.NDArray[np.float64]:
    return np.arange(TABLE) / (TABLE - 1)


@cache
def _pq_light() -> Light:
    return (pq_to_nits(_ramp()) / WHITE_NITS).astype(np.float32)


@cache
def _gains(peak_nits: float) -> Light:
    """By how much a pixel whose largest PQ code value is the index is dimmed."""
    return _dimmed(pq_to_nits(_ramp()), peak_nits)


@cache
def _hlg_gains() -> Light:
    """By how much a pixel is dimmed whose brightest channel is the index, of the usual peak's light."""
    return _dimmed(_ramp() * USUAL_PEAK_NITS, USUAL_PEAK_NITS)


def _dimmed(nits: npt.NDArray[np.float64], peak_nits: float) -> Light:
    after = pq_to_nits(tone_mapped(nits_to_pq(nits), peak_nits=peak_nits))
    return np.divide(after, nits, out=np.ones(TABLE), where=nits > 0).astype(np.float32)


@cache
def _hlg_scene_light() -> Light:
    """BT.2100-2, table 5: the inverse of HLG's OETF."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    signal = _ramp()
    return np.where(signal <= 1 / 2, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12).astype(np.float32)


@cache
def _srgb_light() -> Light:
    """IEC 61966-2-1's decoding."""
    signal = _ramp()
    return np.where(signal <= SRGB_TOE * 12.92, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4).astype(np.float32)


@cache
def _srgb_bytes() -> Pixels:
    """IEC 61966-2-1's encoding, to 8 bits."""
    light = np.arange(OUTPUT_TABLE) / (OUTPUT_TABLE - 1)
    signal = np.where(light <= SRGB_TOE, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(signal * 255), np.uint8)
