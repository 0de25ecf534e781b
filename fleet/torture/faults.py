"""What the proxy does to requests, and the dice that choose."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """One thing that goes wrong with one request."""

    SLOW_DOWN = "503"
    """The request is refused before it does anything."""
    RESET = "reset"
    """The connection is reset in the middle of the body."""
    STALL = "stall"
    """Nothing happens for a while, then all is well."""
    TRUNCATED = "truncated"
    """The answer ends before its announced size."""
    ERROR_AFTER_COMMIT = "500 after commit"
    """The object is written, and the answer says that it was not."""
    LOST_ANSWER = "lost answer"
    """The object is written, and nobody says so."""


POSSIBLE: dict[str, Sequence[Fault]] = {
    "GET": (Fault.SLOW_DOWN, Fault.RESET, Fault.STALL, Fault.TRUNCATED),
    "HEAD": (Fault.SLOW_DOWN, Fault.RESET, Fault.STALL),
    "PUT": (Fault.SLOW_DOWN, Fault.RESET, Fault.STALL, Fault.ERROR_AFTER_COMMIT, Fault.LOST_ANSWER),
}
STALL_SECONDS = (0.5, 4.0)


@dataclass(slots=True)
class Dice:
    """Chooses faults at a rate that can be turned up to a storm."""

    seed: int
    rate: float = 0.0
    """Share of requests to which something is done."""
    thrown: Counter[str] = field(default_factory=Counter)
    """What was done so far, by fault."""
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Start from the seed."""
        self._random = random.Random(f"faults {self.seed}")  # noqa: S311 - a torture that can be repeated

    def throw(self, method: str) -> Fault | None:
        """Choose what to do to a request of this kind; mostly nothing."""
        if self._random.random() >= self.rate:
            return None
        fault = self._random.choice(POSSIBLE.get(method, (Fault.SLOW_DOWN,)))
        self.thrown[fault.value] += 1
        return fault

    def stall_seconds(self) -> float:
        """How long a stall lasts."""
        return self._random.uniform(*STALL_SECONDS)
