"""Totals over millions of videos out of a few hundred: pure arithmetic.

Videos are parted by size into classes that span a factor of two, whose numbers are known exactly, and each class is sampled on its own:
the stratified random sample of Cochran, Sampling Techniques, 3rd edition, chapter 5. Against the plain mean and against the ratio of
frames to bytes its interval is narrower for all but equal videos, and it holds where those fail: where few large videos have most of the
frames, and where a recipe takes no more than so many of a video, so that frames do not grow with bytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from schemas.estimate import Interval

CONFIDENCE = 0.95
LEAST = 2
"""Samples of a class: fewer tell nothing of how far they vary."""
ALIKE = 1e-12
"""Of a mean squared: figures that vary less differ by rounding alone."""
QUANTILES = (math.inf, 12.706, 4.303, 3.182, 2.776)
"""Of Student's t for 95 %, two-sided, by degrees of freedom; from five on the series serves."""
NONE_SEEN = -math.log(1 - CONFIDENCE)
"""Of what was not seen in n samples there is less than this over n: the rule of three (Hanley and Lippman-Hand, JAMA 249:1743, 1983)."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """A class of videos, and a figure of each that was sampled."""

    videos: int
    figures: NDArray[np.float64]

    @property
    def total(self) -> float:
        """What the class has in all, as far as the sample tells."""
        return self.videos * float(self.figures.mean())

    @property
    def variance(self) -> float:
        """Of `total`, by Cochran's 5.3."""
        count, videos = len(self.figures), self.videos
        return videos * (videos - count) / count * self._spread

    @property
    def _spread(self) -> float:
        """The variance of a figure. One sample is taken to vary as much as it is; of samples that are all alike, one may not have been."""
        count, mean = len(self.figures), float(self.figures.mean())
        if count == 1:
            return mean**2
        spread = float(self.figures.var(ddof=1))
        return spread if spread > ALIKE * mean**2 else mean**2 * (count - 1) / count**2


def allotted(videos: Sequence[int], frames: Sequence[float], *, most: int) -> list[int]:
    """How many of each class to sample: half by how many videos it has, half by how many frames those are likely to give.

    So classes that have most of the frames are told well, and so is what kills videos. At least two of each, if it has them.
    """
    counts, weights = np.asarray(videos, np.float64), np.asarray(frames, np.float64)
    shares = (counts / max(counts.sum(), 1) + weights / max(weights.sum(), 1)) / 2
    if most >= counts.sum():
        return list(videos)
    return [int(number) for number in np.minimum(counts, np.maximum(LEAST, np.round(most * shares)))]


def total_of(strata: Sequence[Stratum]) -> Interval:
    """The total over all classes. Classes that nobody could sample are taken to be as the rest: the total grows by their videos' share.

    Degrees of freedom by Cochran's 5.16 (Satterthwaite's).
    """
    sampled = [one for one in strata if len(one.figures)]
    expected, variances = sum(one.total for one in sampled), [one.variance for one in sampled]
    weights = sum(one.variance**2 / max(len(one.figures) - 1, 1) for one in sampled)
    freedom = sum(variances) ** 2 / weights if weights else math.inf
    half = quantile(freedom) * math.sqrt(sum(variances)) if weights else 0.0
    seen = sum(float(one.figures.sum()) for one in sampled)
    known = sum(one.videos for one in sampled)
    grown = sum(one.videos for one in strata) / known if known else 1.0
    return Interval(expected=expected, low=max(seen, expected - half), high=expected + half).times(grown)


def at_mean_size(figures: NDArray[np.float64], sizes: NDArray[np.float64], *, mean_bytes: float) -> NDArray[np.float64]:
    """Figures that grow with a video's size, as they would be at the mean size of its class, which is known: Cochran's 6.10."""
    rate = figures.sum() / sizes.sum() if sizes.any() else 0.0
    adjusted: NDArray[np.float64] = figures + rate * (mean_bytes - sizes)
    return adjusted


def count_of(strata: Sequence[Stratum]) -> Interval:
    """How many videos have a property that each sampled one has (1) or has not (0). If none has, there may still be some."""
    found = total_of(strata)
    videos, sampled = sum(one.videos for one in strata), sum(len(one.figures) for one in strata)
    if found.expected or sampled in {0, videos}:
        return found.model_copy(update={"high": min(found.high, float(videos))})
    return Interval(expected=0, low=0, high=min(1.0, NONE_SEEN / sampled) * videos)


def quantile(freedom: float) -> float:
    """Student's t for 95 %, two-sided: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5."""
    if freedom < len(QUANTILES):
        return QUANTILES[max(1, int(freedom))]
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    return z + (z**3 + z) / (4 * freedom) + second + third
