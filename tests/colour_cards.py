"""Frames of known colours, coded by hand from the standards' formulas rather than by FFmpeg's scaler."""

import av
import numpy as np
import numpy.typing as npt

BARS = (
    (255, 255, 255), (255, 255, 0), (0, 255, 255), (0, 255, 0), (255, 0, 255), (255, 0, 0), (0, 0, 255), (0, 0, 0),
    (128, 128, 128), (200, 20, 20), (60, 150, 60), (18, 28, 60), (240, 200, 170), (90, 40, 20), (16, 16, 16), (250, 250, 250),
)  # fmt: skip
"""sRGB, 8 bits."""
LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""Shares of red and blue in luma, by ITU-T H.273's number of the matrix."""
UNSPECIFIED, FULL, LIMITED = 2, 2, 1
Signal = npt.NDArray[np.float64]


def card(width: int = 256, height: int = 64, bars: npt.ArrayLike = BARS) -> Signal:
    """Draw vertical bars as R'G'B' from 0 to 1, of shape (height, width, 3)."""
    colours = np.asarray(bars, float) / 255
    row = np.repeat(colours, width // len(colours), axis=0)
    return np.broadcast_to(row, (height, *row.shape))


def bars_of(pixels: npt.NDArray[np.uint8], count: int = len(BARS)) -> npt.NDArray[np.int64]:
    """Read the bars' colours back."""
    height, width, _ = pixels.shape
    return np.asarray([pixels[height // 2, (2 * bar + 1) * width // (2 * count)] for bar in range(count)], np.int64)


def ycbcr_frame(signal: Signal, pix_fmt: str, *, matrix: int, full: bool) -> av.VideoFrame:
    """Code R'G'B' as planar YCbCr (H.273, equations 38 to 40 and 20 to 25); subsampling takes every other column or line."""
    frame = av.VideoFrame(signal.shape[1], signal.shape[0], pix_fmt)
    bits = frame.format.components[0].bits
    codes = _ycbcr_codes(signal, matrix, bits, full=full)
    for plane, values in zip(frame.planes, [*codes, np.full(signal.shape[:2], (1 << bits) - 1)][: len(frame.planes)], strict=True):
        _fill(plane, values[:: signal.shape[0] // plane.height, :: signal.shape[1] // plane.width], bits)
    frame.colorspace, frame.color_range = matrix, FULL if full else LIMITED
    return frame


def _ycbcr_codes(signal: Signal, matrix: int, bits: int, *, full: bool) -> list[Signal]:
    share_red, share_blue = LUMA[matrix]
    red, green, blue = (signal[..., channel] for channel in range(3))
    luma = share_red * red + (1 - share_red - share_blue) * green + share_blue * blue
    differences = (blue - luma) / 2 / (1 - share_blue), (red - luma) / 2 / (1 - share_red)
    most, unit = (1 << bits) - 1, 1 << (bits - 8)
    if full:
        return [luma * most, *(np.clip(part * most + 128 * unit, 0, most) for part in differences)]
    return [(219 * luma + 16) * unit, *((224 * part + 128) * unit for part in differences)]


def _fill(plane: av.video.plane.VideoPlane, values: Signal, bits: int) -> None:
    kind = np.dtype(np.uint16 if bits > 8 else np.uint8)
    lines = np.zeros((plane.height, plane.line_size // kind.itemsize), kind)
    lines[:, : values.shape[1]] = np.rint(values)
    plane.update(lines.tobytes())
