"""What a request costs in bytes: the one number that reading is planned by. Pure policy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

Range = tuple[int, int]
"""Bytes from a start to an end (exclusive)."""

PRESETS = {"in-region": 160 * 1024, "cross-region": 20 * 1024, "internet": 4 * 1024}
"""A GET costs 0.4 $ a million. At 20 $ a terabyte between regions that buys 20 KB, at 90 $ to the internet 4 KB; within a region bytes
are free, and 160 KB is what passes while a request takes its turn."""
WHOLE_REQUESTS = 16
"""An object no larger than so many requests' worth is read whole at once: its index and its keyframes would take as many."""
MOST_AT_ONCE = 8 * 1024 * 1024
"""Bytes of one GET at most, so that long ranges are fetched side by side and in bounded memory."""


@dataclass(frozen=True, slots=True)
class ReadCosts:
    """A cost model: reading n bytes in r requests costs n + r * `request_bytes`."""

    request_bytes: int = PRESETS["in-region"]
    """Bytes that one may read in vain to spare a request."""

    @classmethod
    def of(cls, said: str) -> Self:
        """Understand what an operator says: a preset's name, or a number of bytes.

        Raises:
            ValueError: it is neither.
        """
        if said in PRESETS:
            return cls(PRESETS[said])
        if said.isascii() and said.isdecimal():
            return cls(int(said))
        names = ", ".join(f"`{name}`" for name in PRESETS)
        message = f"{said!r} is no cost of reading: say {names}, or how many bytes one more request is worth."
        raise ValueError(message)

    @property
    def whole_bytes(self) -> int:
        """The size up to which an object is read whole at once."""
        return WHOLE_REQUESTS * self.request_bytes

    def coalesced(self, ranges: Iterable[Range]) -> list[Range]:
        """Join ranges, in the order given, where the gap to the next costs less than a request; cut what is too long for one.

        Since cost is linear and gaps are independent, joining pair by pair is the cheapest plan for ranges in ascending order.
        """
        joined: list[Range] = []
        for start, end in ranges:
            if joined and joined[-1][0] <= start <= joined[-1][1] + self.request_bytes:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end))
            else:
                joined.append((start, end))
        return [(low, min(end, low + MOST_AT_ONCE)) for start, end in joined for low in range(start, end, MOST_AT_ONCE)]
