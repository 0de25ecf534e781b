"""The layers of the decoder's lock: which hold here, and why others do not. The fork server says so before its first child."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Self, TypeVar

T = TypeVar("T")

REQUIRED = ("rlimits", "no_new_privs", "seccomp")
"""Without these the fork server's children read no video, unless an operator overrides it."""

WHAT_TO_DO = (
    "Let workers run where the kernel has seccomp and the container's profile does not refuse it, on x86_64 or aarch64;"
    " or set FRAMEFLEET_DECODER_UNLOCKED=true where every video can be trusted."
)


@dataclass(frozen=True, slots=True)
class Layers:
    """What holds, with details, and what does not, with the reason."""

    active: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def lacking(self) -> tuple[str, ...]:
        """The required layers that do not hold."""
        return tuple(layer for layer in REQUIRED if layer not in self.active)

    @property
    def refusal(self) -> str:
        """Why no video is decoded here, and what an operator can do."""
        reasons = ", ".join(f"{layer} ({self.missing[layer]})" for layer in self.lacking)
        return f"The decoder cannot be locked here: {reasons}. {WHAT_TO_DO}"

    def __str__(self) -> str:
        """One line for an operator."""
        holds = "locked by " + ", ".join(f"{layer} ({detail})" if detail else layer for layer, detail in self.active.items())
        lacks = ", ".join(f"{layer} ({reason})" for layer, reason in self.missing.items())
        return f"{holds}; not to be had here: {lacks}" if lacks else holds

    def to_json(self) -> bytes:
        """Write them down for the parent."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Read what the (trusted) fork server wrote."""
        return cls(**json.loads(text))


class Findings:
    """Layers as they are being tried."""

    def __init__(self) -> None:
        self.active: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    def attempt(self, layer: str, step: Callable[[], T], *, tell: Callable[[T], str] = lambda _: "") -> T | None:
        """Try a layer by a step that raises OSError where it cannot be had; `tell` makes the detail of what the step returns."""
        try:
            made = step()
        except OSError as error:
            self.lose(layer, error.strerror or str(error))
            return None
        self.active[layer] = tell(made)
        return made

    def lose(self, layer: str, reason: str) -> None:
        """Note that a layer does not hold, whatever was said before."""
        self.active.pop(layer, None)
        self.missing[layer] = reason

    @property
    def layers(self) -> Layers:
        """What was found."""
        return Layers(self.active, self.missing)
