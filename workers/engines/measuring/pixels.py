"""Numbers about a picture as a whole: light, contrast, colours, fine detail, bars, and where its edges are."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from workers.engines.measuring.boxes import PLACES
from workers.engines.measuring.colours import ColourShare, Lab, colour_shares

Pixels8 = npt.NDArray[np.uint8]
Means = npt.NDArray[np.float32]
COLOUR_SIDE = 192
"""Longest side of the copy that colours and light are measured on."""
DETAIL_SIDE = 640
"""Longest side of the copy that fine detail and edges are measured on, so that their numbers can be compared."""
UNIFORM_RANGE = 10
"""A frame whose channels all stay within this many levels (of 256) is uniform: a coded black frame is never quite constant."""
GREY_RANGE = 8
"""A frame in which 99 % of the pixels differ by no more than this between channels is greyscale."""
BAR_LEVEL = 28
"""A row or column is part of a black bar when no pixel of it is lighter; video black is 16 in some files."""
BAR_STEP = 12
"""How much lighter the picture must be right beside its bar: a dark scene fades into black, a bar ends."""
BAR_LEAST_SHARE = 0.02
BAR_LEAST_INSIDE = 16
"""Rows or columns that must be left between two bars."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Black bars in pairs, as shares of the frame's height (top and bottom together) and width (left and right together)."""

    rows: float = 0.0
    columns: float = 0.0


@dataclass(frozen=True, slots=True)
class Pixels:
    """What the pixels say. All but width, height, uniform and bars is measured inside the bars."""

    width: int
    height: int
    uniform: bool
    """Whether all pixels have (nearly) one colour."""
    bars: Bars
    greyscale: bool
    lightness: float
    """Mean CIE L*, 0 to 100."""
    contrast: float
    """Standard deviation of CIE L*."""
    clipped_dark: float
    """Share of pixels at the lowest levels."""
    clipped_bright: float
    """Share of pixels at the highest levels."""
    colourfulness: float
    detail: float
    """Variance of the Laplacian."""
    edge_share: float
    """Share of pixels on an edge."""
    edge_place: str
    """The ninth of the frame with most of the edges, or nothing when no ninth stands out."""
    colours: tuple[ColourShare, ...]


def measure(rgb: Pixels8) -> Pixels:
    """Measure a picture of shape (height, width, 3)."""
    inner, bars = without_bars(rgb)
    small = shrink(inner, COLOUR_SIDE)
    lab: Lab = np.asarray(cv2.cvtColor(small.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB), np.float32)
    grey = np.asarray(cv2.cvtColor(shrink(inner, DETAIL_SIDE), cv2.COLOR_RGB2GRAY), np.uint8)
    edges = np.asarray(cv2.Canny(grey, 80, 160), np.uint8)
    return Pixels(
        width=rgb.shape[1],
        height=rgb.shape[0],
        uniform=_is_uniform(rgb),
        bars=bars,
        greyscale=_is_grey(small),
        lightness=float(lab[..., 0].mean()),
        contrast=float(lab[..., 0].std()),
        clipped_dark=float((small.max(axis=2) <= 2).mean()),  # noqa: PLR2004 - of 255
        clipped_bright=float((small.min(axis=2) >= 253).mean()),  # noqa: PLR2004 - of 255
        colourfulness=colourfulness(small),
        detail=detail(grey),
        edge_share=float((edges > 0).mean()),
        edge_place=busiest_place(edges),
        colours=colour_shares(lab),
    )


def shrink(picture: Pixels8, longest: int, *, height: int = 0) -> Pixels8:
    """Scale a picture down, never up, until its longest side (and its height, if one is given) fits."""
    rows, columns = picture.shape[:2]
    scale = min(1.0, longest / max(rows, columns), height / rows if height else 1.0)
    if scale == 1.0:
        return picture
    size = (max(round(columns * scale), 1), max(round(rows * scale), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def colourfulness(rgb: Pixels8) -> float:
    """Colourfulness M of Hasler and Suesstrunk, Measuring colourfulness in natural images (2003): 0 is grey, 109 extreme."""
    red, green, blue = np.moveaxis(rgb.astype(np.float64), 2, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    return float(np.hypot(red_green.std(), yellow_blue.std()) + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def detail(grey: Pixels8) -> float:
    """Variance of the Laplacian, a focus measure of Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy (2000)."""
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def busiest_place(edges: Pixels8) -> str:
    """Name the ninth of the frame that holds at least a quarter of all edge pixels; none below 0.2 % of edges."""
    counts = [int((cell > 0).sum()) for row in np.array_split(edges, 3, axis=0) for cell in np.array_split(row, 3, axis=1)]
    most = max(counts)
    stands_out = most >= sum(counts) / 4 and sum(counts) >= 0.002 * edges.size
    return PLACES[counts.index(most)] if stands_out and most else ""


def without_bars(rgb: Pixels8) -> tuple[Pixels8, Bars]:
    """Cut black bars off: both of a pair must be there, about equally thick, and end sharply."""
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    top, bottom = _pair(*_profile(grey, across=1))
    left, right = _pair(*_profile(grey, across=0))
    height, width = grey.shape
    return rgb[top : height - bottom, left : width - right], Bars((top + bottom) / height, (left + right) / width)


def _profile(grey: Pixels8, *, across: int) -> tuple[Pixels8, Means]:
    """Highest and mean level of every row (`across` 1) or column (0)."""
    highest = np.ravel(np.asarray(cv2.reduce(grey, across, cv2.REDUCE_MAX), np.uint8))
    return highest, np.ravel(np.asarray(cv2.reduce(grey, across, cv2.REDUCE_AVG, dtype=cv2.CV_32F), np.float32))


def _pair(highest: Pixels8, mean: Means) -> tuple[int, int]:
    """Thickness of the dark runs at both ends of a profile across the frame, or zeros where they are no pair of bars."""
    lit = np.flatnonzero(highest > BAR_LEVEL)
    if not lit.size:
        return 0, 0
    first, last = int(lit[0]), highest.size - 1 - int(lit[-1])
    least = max(BAR_LEAST_SHARE * highest.size, 1)
    is_pair = min(first, last) >= least and abs(first - last) <= max(least, 2) and highest.size - first - last >= BAR_LEAST_INSIDE
    return (first, last) if is_pair and min(_step(mean, first), _step(mean[::-1], last)) >= BAR_STEP else (0, 0)


def _step(mean: Means, thickness: int) -> float:
    """How much lighter the picture is just behind a bar than the bar's last rows, both beyond the blur of scaling."""
    return float(mean[thickness + 2 : thickness + 5].mean() - mean[max(thickness - 4, 0) : max(thickness - 1, 1)].mean())


def _is_uniform(rgb: Pixels8) -> bool:
    extremes = (cv2.minMaxLoc(channel) for channel in cv2.split(rgb))
    return all(highest - lowest <= UNIFORM_RANGE for lowest, highest, *_ in extremes)


def _is_grey(rgb: Pixels8) -> bool:
    return bool(np.percentile(np.ptp(rgb, axis=2), 99) <= GREY_RANGE)
