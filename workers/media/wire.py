"""The language between a worker and its decoding child: short packets over a SOCK_SEQPACKET pair, and a memory that both have mapped.

child ──▶ parent   one JSON object each: plan, read, codec, opened, frame, dead_frame, failed, done
parent ──▶ child   the number of a slot now free, in one byte; or how many bytes lie in the inbox: first the Job, then what was asked for
memory             the inbox, which the parent writes; behind it FFmpeg's last words and slots for pictures, which the child writes
"""

import json
import struct
from dataclasses import asdict, dataclass
from typing import Any, Self

SLOTS = 4
"""Pictures that may lie in shared memory at once: the child's lead over its consumer."""
MAX_MESSAGE = 16 * 1024
INBOX_BYTES = 1024 * 1024
"""Bytes a child may ask for at once."""
LOG_AT = INBOX_BYTES
"""Where FFmpeg's last words lie, their length before them."""
LOG_BYTES = 8 * 1024
MOST_PLANNED = 256
"""Ranges in one plan; a longer one takes several messages."""
LENGTH = struct.Struct("=I")
"""How many bytes lie in the inbox, or among the last words."""


def printable(text: str) -> str:
    """A child's words as they may be shown on an operator's terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


@dataclass(frozen=True, slots=True)
class Job:
    """What the parent wants of one video, and what it may cost."""

    size_bytes: int
    min_gap_seconds: float
    max_per_video: int
    max_width: int
    max_height: int
    only_frames: tuple[int, ...] | None
    cpu_seconds: int
    memory_bytes: int
    max_pixels: int
    max_duration_seconds: float
    bgr: bool = False
    """Whether pixels are laid down as BGR, else as RGB."""

    @property
    def slot_bytes(self) -> int:
        """Room for the largest picture asked for, as packed RGB."""
        return self.max_width * self.max_height * 3

    def slot_at(self, slot: int) -> int:
        """Where a slot begins in the shared memory."""
        return LOG_AT + LOG_BYTES + slot * self.slot_bytes

    @property
    def memory_size(self) -> int:
        """Bytes of the shared memory."""
        return self.slot_at(SLOTS)

    def to_json(self) -> bytes:
        """Write the job down for the child."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes | bytearray) -> Self:
        """Read a job that the (trusted) parent wrote."""
        fields: dict[str, Any] = json.loads(text)
        only = fields.pop("only_frames")
        return cls(**fields, only_frames=None if only is None else tuple(only))
