"""How much work the videos of a part are likely to be: `schemas.work`, column by column."""

from collections.abc import Sequence

import numpy as np

from schemas.work import USUAL, Work, suffix_of


class _Rates(dict[str, float]):
    """Frames per byte by what stands behind a URI's last dot."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work

    def __missing__(self, tail: str) -> float:
        rate = self[tail] = self._work.frames_per_byte.get(suffix_of(f"a{tail}"), USUAL)
        return rate


def likely_seconds(work: Work, uris: Sequence[str], sizes: Sequence[int], *, most: int) -> list[float]:
    """What `Work.seconds` says of each video; `most` is the most keyframes of one that are taken, or zero."""
    rates = _Rates(work)
    bytes_, likely = np.array(sizes, np.float64), np.array([rates[uri[uri.rfind(".") :]] for uri in uris], np.float64)
    frames = np.clip(np.ceil(bytes_ * likely), 1, most or None)
    seconds: list[float] = (work.seconds_per_video + work.seconds_per_frame * frames + work.seconds_per_gigabyte * bytes_ / 1e9).tolist()
    return seconds
