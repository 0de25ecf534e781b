"""What the breaker is told of a shard: of each video whether it is fine, or the class of what went wrong."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

from broker.breaker import SAYS_NOTHING
from schemas.errors import ClaimLostError, DoubtedError, DroppedError, HandedBackError, OperatorError, PermanentError, UnsuitableError
from schemas.reasons import FLEETS_FAULTS
from workers.records import Death

NOBODYS_FAULT = (ClaimLostError, DoubtedError, DroppedError, HandedBackError, OperatorError, UnsuitableError)
"""Ends of an attempt that tell nothing of how well the fleet does."""


class Ended(Protocol):
    """What became of a video."""

    @property
    def records(self) -> Sequence[object]:
        """Its lines."""

    @property
    def deaths(self) -> Sequence[Death]:
        """Why the rest is dead."""


def failures_of(outcomes: Iterable[Ended], *, redriven: bool = False) -> list[str]:
    """Name the class of each video of a shard, in order: "" if it is fine.

    What failed before and was redriven tells nothing when it fails again: else a redrive of bad videos would look like a bad fleet.
    """
    failures = [_failure_in(outcome) for outcome in outcomes]
    return [SAYS_NOTHING if redriven and failure else failure for failure in failures]


def failure_of(error: BaseException) -> str:
    """Name the class of an error that ended an attempt at a shard."""
    if isinstance(error, NOBODYS_FAULT):
        return SAYS_NOTHING
    if isinstance(error, PermanentError):
        return error.reason.value
    return type(error).__name__


def _failure_in(outcome: Ended) -> str:
    """A video fails with the commonest class of its deaths, unless as many of its frames were captioned."""
    reasons = Counter(death.error.reason for death in outcome.deaths)
    if not reasons:
        return ""
    telling = Counter({reason: count for reason, count in reasons.items() if reason in FLEETS_FAULTS})
    [(reason, count)] = (telling or reasons).most_common(1)
    return reason.value if count > len(outcome.records) else ""
