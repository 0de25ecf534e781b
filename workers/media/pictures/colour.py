"""Frames of any colours to packed 8-bit sRGB of the size asked for (docs/adr/0010 says how each kind gets there)."""

import struct
from enum import IntEnum
from typing import cast

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from schemas.reasons import Reason
from workers.media.child.unreadable import UnreadableError
from workers.media.pictures.hdr import (
    BT2020_TO_BT709,
    LARGEST_NITS,
    P3_TO_BT709,
    USUAL_PEAK_NITS,
    WHITE_NITS,
    Codes,
    Matrix,
    Transfer,
    to_srgb,
)

Pixels = npt.NDArray[np.uint8]
HD_WIDTH, HD_HEIGHT = 1280, 577
"""From here on a frame that does not say is taken for BT.709 rather than BT.601, as libplacebo (mpv, VLC) does."""
FROM_LIMITED: Pixels = np.clip(np.rint((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8)
"""ITU-T H.273, equation 20, undone."""
QUICKLY = Interpolation.AREA
EXACTLY = Interpolation.AREA | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
PLAIN = {"yuv420p", "yuvj420p", "nv12"}
"""Nearly all video is of these: its chroma is halved, and the quick way leaves it so along the lines. So does the JPEG that BGR is for."""
MASTERING_LUMINANCE_AT = 72
"""Of `max_luminance` and, behind it, `has_primaries` and `has_luminance` in FFmpeg's AVMasteringDisplayMetadata."""


class Matrices(IntEnum):
    """What YCbCr means: ITU-T H.273, table 4, as AVFrame.colorspace has it."""

    BT709 = 1
    FCC = 4
    BT470BG = 5
    SMPTE170M = 6
    SMPTE240M = 7
    YCGCO = 8
    BT2020_NCL = 9
    BT2020_CL = 10
    SMPTE2085 = 11
    DERIVED_CL = 13
    ICTCP = 14
    IPT_C2 = 15
    YCGCO_RE = 16
    YCGCO_RO = 17


COEFFICIENTS = {
    Matrices.BT709: Colorspace.ITU709,
    Matrices.FCC: Colorspace.FCC,
    Matrices.BT470BG: Colorspace.ITU601,
    Matrices.SMPTE170M: Colorspace.ITU601,
    Matrices.SMPTE240M: Colorspace.SMPTE240M,
    Matrices.BT2020_NCL: Colorspace.BT2020,
    Matrices.BT2020_CL: Colorspace.BT2020,  # the same for greys, and near for the rest; nobody makes it
}
STRANGE = {Matrices.YCGCO, Matrices.SMPTE2085, Matrices.DERIVED_CL, Matrices.ICTCP, Matrices.IPT_C2, Matrices.YCGCO_RE, Matrices.YCGCO_RO}
"""FFmpeg's scaler would show these in wrong colours."""
TRANSFERS = {ColorTrc.SMPTE2084: Transfer.PQ, ColorTrc.ARIB_STD_B67: Transfer.HLG}
WIDE: dict[int, Matrix] = {ColorPrimaries.BT2020: BT2020_TO_BT709, ColorPrimaries.SMPTE432: P3_TO_BT709}


class Colours:
    """Scales and converts in one pass. One reformatter and one picture's memory serve all frames, since most need the same."""

    def __init__(self, *, bgr: bool = False) -> None:
        """Lay each pixel's bytes down as RGB, or as BGR for an encoder that halves the chroma: then that need not be exact before."""
        self._bgr = bgr
        self._reformatter = VideoReformatter()
        self._pixels: Pixels = np.empty((0, 0, 3), np.uint8)

    def srgb(self, frame: VideoFrame, width: int, height: int) -> Pixels:
        """Return pixels of shape (height, width, 3): a view, perhaps of padded lines, that holds until the next frame.

        Raises:
            UnreadableError: the frame's colours have no known way to sRGB.
            FFmpegError: its form has none.
        """
        if frame.color_trc in TRANSFERS or frame.color_primaries in WIDE:
            return self._ordered(self._from_wide(frame, width, height))
        if _has_alpha(frame):
            return self._ordered(_over_black(_packed(self._scaled(frame, width, height, "rgba"), 4)))
        if self._bgr and frame.format.name in PLAIN:
            return _packed(self._scaled(frame, width, height, "bgr24", QUICKLY), 3)
        pixels = self._woven(self._scaled(frame, width, height, "gbrp"))
        return FROM_LIMITED[pixels] if _is_limited_grey(frame) else pixels

    def _ordered(self, rgb: Pixels) -> Pixels:
        return rgb[..., ::-1] if self._bgr else rgb

    def _woven(self, frame: VideoFrame) -> Pixels:
        """Weave three planes into one: FFmpeg is quicker at exact planes than at exact pixels, by more than this takes."""
        if self._pixels.shape[:2] != (frame.height, frame.width):
            self._pixels = np.empty((frame.height, frame.width, 3), np.uint8)
        for plane, channel in zip(frame.planes, (1, 0, 2) if self._bgr else (1, 2, 0), strict=True):
            self._pixels[..., channel] = _levels(plane)
        return self._pixels

    def _from_wide(self, frame: VideoFrame, width: int, height: int) -> Pixels:
        transfer = TRANSFERS.get(cast("ColorTrc", frame.color_trc), Transfer.SRGB)
        primaries = ColorPrimaries.BT2020 if frame.color_primaries == ColorPrimaries.UNSPECIFIED else frame.color_primaries
        green, blue, red = (_codes(plane) for plane in self._scaled(frame, width, height, "gbrp16le").planes)  # rgb48le comes out wrong
        peak_nits = _peak_nits(frame) if transfer is Transfer.PQ else USUAL_PEAK_NITS
        return to_srgb((red, green, blue), transfer, WIDE.get(primaries), peak_nits=peak_nits)

    def _scaled(self, frame: VideoFrame, width: int, height: int, form: str, how: Interpolation = EXACTLY) -> VideoFrame:
        return self._reformatter.reformat(frame, width, height, form, src_colorspace=_coefficients(frame), interpolation=how, threads=1)


def _coefficients(frame: VideoFrame) -> Colorspace | None:
    """What the scaler shall take the frame's YCbCr for; None where there is none."""
    if frame.format.is_rgb or len(frame.format.components) < 3:  # noqa: PLR2004 - grey, perhaps with alpha
        return None
    if frame.colorspace in STRANGE:
        raise UnreadableError(Reason.UNSUPPORTED_CODEC, f"The pictures' colour space, {Matrices(frame.colorspace).name}, is not supported.")
    return COEFFICIENTS.get(cast("Matrices", frame.colorspace)) or _guess(frame)


def _guess(frame: VideoFrame) -> Colorspace:
    if frame.color_primaries == ColorPrimaries.BT2020 or frame.color_trc in TRANSFERS:
        return Colorspace.BT2020
    return Colorspace.ITU709 if frame.width >= HD_WIDTH or frame.height >= HD_HEIGHT else Colorspace.ITU601


def _is_limited_grey(frame: VideoFrame) -> bool:
    """The scaler takes all grey for full range. What does not say is of full range indeed: HEVC, AV1 and the like always say."""
    return frame.color_range == ColorRange.MPEG and frame.format.name.startswith("gray")


def _has_alpha(frame: VideoFrame) -> bool:
    return not frame.format.has_palette and any(component.is_alpha for component in frame.format.components)


def _over_black(pixels: Pixels) -> Pixels:
    """Lay a picture over black, as players do. Alpha that is zero everywhere is padding that nobody filled."""
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    if not alpha.any():
        return colours
    return ((colours.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)


def _peak_nits(frame: VideoFrame) -> float:
    """How bright the brightest pixel is: MaxCLL, or else the mastering display's peak, or else the usual."""
    told = _max_content_light(frame) or _mastering_peak(frame) or USUAL_PEAK_NITS
    return min(max(told, WHITE_NITS), LARGEST_NITS)


def _max_content_light(frame: VideoFrame) -> float:
    body = _side_data(frame, "CONTENT_LIGHT_LEVEL")
    return float(struct.unpack_from("=I", body)[0]) if body else 0.0


def _mastering_peak(frame: VideoFrame) -> float:
    body = _side_data(frame, "MASTERING_DISPLAY_METADATA")
    numerator, denominator, _, known = struct.unpack_from("=iiii", body, MASTERING_LUMINANCE_AT) if body else (0, 0, 0, 0)
    return numerator / denominator if known and denominator > 0 else 0.0


def _side_data(frame: VideoFrame, kind: str) -> bytes:
    return bytes(cast("SideData | None", frame.side_data.get(kind)) or b"")


def _codes(plane: VideoPlane) -> Codes:
    """View a plane of 16-bit values, whose lines may be padded."""
    return np.ndarray((plane.height, plane.width), np.uint16, buffer=plane, strides=(plane.line_size, 2))  # type: ignore[arg-type]  # a Buffer


def _levels(plane: VideoPlane) -> Pixels:
    """View a plane of bytes, whose lines may be padded."""
    return np.ndarray((plane.height, plane.width), np.uint8, buffer=plane, strides=(plane.line_size, 1))  # type: ignore[arg-type]  # a Buffer


def _packed(frame: VideoFrame, channels: int) -> Pixels:
    """View the only plane of a frame of packed bytes, whose lines may be padded."""
    plane = frame.planes[0]
    shape = (frame.height, frame.width, channels)
    return np.ndarray(shape, np.uint8, buffer=plane, strides=(plane.line_size, channels, 1))  # type: ignore[arg-type]  # a Buffer
