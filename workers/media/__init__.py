"""Keyframes of one untrusted video. Its bytes meet FFmpeg only in a disposable child that has no network, no files and no credentials.

    worker process, many threads                fork server                 one child per video
    sandbox.Decoder ── ForkServer ── control ──▶ zygote ────────── fork ──▶ child
          │                                                                   │
       Session ◀─────────── messages (JSON), bytes of the object ─────────────┤
          └──────────────── pictures (RGB in a sealed memfd) ◀────────────────┘

sandbox, session, messages   the parent's side, which never imports PyAV        ranges, costs    bytes by ranges, and what they may cost
forks/      the fork server and each child as the parent holds them           wire, sampling   what both sides know
lock/       what a child gives up before it meets untrusted bytes
child/      inside: zygote forks, life lives, channel talks, objectfile reads; never pydantic
readers/    indexed, cued, fragmented, transport by an index; scanned the rest
pictures/   decoding one keyframe alone, and rendering it upright in sRGB
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol


class ByteSource(Protocol):
    """The bytes of one object, by ranges."""

    size_bytes: int

    def plan(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Hear which bytes will be read next, from starts to ends (exclusive), in this order. A hint: anything else can be read too."""

    def read(self, *, start: int, end: int) -> bytes:
        """Read bytes `start` to `end` (exclusive), all of them.

        Raises:
            PermanentError: the object is gone, changed or denied.
            TransientError: the store does not answer.
        """


@dataclass(frozen=True, slots=True)
class Limits:
    """What one video may cost its child."""

    deadline_seconds: float = 120.0
    """Wall time the parent waits for the child; fetching bytes and a slow consumer do not count."""
    cpu_seconds: int = 120
    memory_bytes: int = 1 << 30
    """Address space beyond that of the fork server."""
    max_pixels: int = 8192 * 4352
    max_duration_seconds: float = 86_400.0

    def within(self, deadline_seconds: float) -> "Limits":
        """The same with another deadline, and at least as much time on a processor."""
        return replace(self, deadline_seconds=deadline_seconds, cpu_seconds=max(self.cpu_seconds, math.ceil(deadline_seconds)))
