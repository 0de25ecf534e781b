"""Names of colours, by lightness, chroma and hue in CIE L*a*b* (D65).

The table is this project's own; its borders were set so that the CSS colours of the same names fall where their names say.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Lab = npt.NDArray[np.float32]
GREY_CHROMA = 12.0
"""Below this chroma a colour is a grey."""


class Tone(NamedTuple):
    """One name, and the half-open ranges in which it holds; a hue range may wrap around at 360 degrees."""

    name: str
    hue: tuple[float, float]
    lightness: tuple[float, float] = (0, 101)
    chroma: tuple[float, float] = (GREY_CHROMA, 999)

    def holds(self, lightness: Lab, chroma: Lab, hue: Lab) -> npt.NDArray[np.bool_]:
        """Mark the pixels that bear this name."""
        start, end = self.hue
        in_hue = (hue >= start) & (hue < end) if start < end else (hue >= start) | (hue < end)
        return in_hue & _within(lightness, self.lightness) & _within(chroma, self.chroma)


ALL_HUES = (0.0, 361.0)
# The first tone that holds names the pixel; those without a lightness or chroma of their own close their hue.
TONES = (
    Tone("black", ALL_HUES, (0, 15), (0, GREY_CHROMA)),
    Tone("dark grey", ALL_HUES, (15, 40), (0, GREY_CHROMA)),
    Tone("grey", ALL_HUES, (40, 65), (0, GREY_CHROMA)),
    Tone("light grey", ALL_HUES, (65, 88), (0, GREY_CHROMA)),
    Tone("white", ALL_HUES, (88, 101), (0, GREY_CHROMA)),
    Tone("black", ALL_HUES, (0, 6)),
    Tone("pink", (345, 18), (45, 101)),
    Tone("dark red", (345, 18)),
    Tone("pink", (18, 48), (62, 101)),
    Tone("dark brown", (18, 82), (0, 25), (GREY_CHROMA, 30)),
    Tone("brown", (18, 48), (25, 62), (GREY_CHROMA, 48)),
    Tone("dark red", (18, 48), (0, 30)),
    Tone("red", (18, 48)),
    Tone("brown", (48, 82), (0, 60)),
    Tone("beige", (48, 82), (60, 101), (GREY_CHROMA, 48)),
    Tone("orange", (48, 82)),
    Tone("olive", (82, 110), (0, 60)),
    Tone("beige", (82, 110), (60, 101), (GREY_CHROMA, 35)),
    Tone("yellow", (82, 110)),
    Tone("dark green", (110, 170), (0, 30)),
    Tone("light green", (110, 170), (72, 101), (GREY_CHROMA, 60)),
    Tone("green", (110, 170)),
    Tone("dark cyan", (170, 225), (0, 30)),
    Tone("cyan", (170, 225)),
    Tone("dark blue", (225, 311), (0, 28)),
    Tone("light blue", (225, 311), (72, 101)),
    Tone("blue", (225, 311)),
    Tone("magenta", (311, 345), (55, 101), (80, 999)),
    Tone("light purple", (311, 345), (72, 101)),
    Tone("dark purple", (311, 345), (0, 22)),
    Tone("purple", (311, 345)),
)


class ColourShare(NamedTuple):
    """A colour by name and the share of the pixels that bear it."""

    name: str
    share: float


def colour_shares(lab: Lab) -> tuple[ColourShare, ...]:
    """Share of every colour that occurs in an array of L*a*b* pixels (..., 3), largest first."""
    lightness, a, b = np.moveaxis(lab.reshape(-1, 3), 1, 0)
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
    first = np.argmax([tone.holds(lightness, chroma, hue) for tone in TONES], axis=0)
    shares: dict[str, float] = {}
    for index, count in enumerate(np.bincount(first, minlength=len(TONES))):
        shares[TONES[index].name] = shares.get(TONES[index].name, 0.0) + float(count) / first.size
    return tuple(ColourShare(name, share) for name, share in sorted(shares.items(), key=lambda item: (-item[1], item[0])) if share)


def _within(values: Lab, limits: tuple[float, float]) -> npt.NDArray[np.bool_]:
    return (values >= limits[0]) & (values < limits[1])
