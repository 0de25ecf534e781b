"""How an input must end."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fate:
    """How a video must end."""

    captions: tuple[str, ...] = ()
    """The description of each chosen keyframe, in order."""
    reason: str = ""
    """Why it must be dead; empty if it must be captioned."""
