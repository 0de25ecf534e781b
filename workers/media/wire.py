"""The language between a worker and its decoding child: packets over a SOCK_SEQPACKET pair, and slots in shared memory.

child ──▶ parent   one JSON object each: read, opened, frame, dead_frame, failed, done
parent ──▶ child   first the Job, after its length; then a tag and a chunk of the bytes asked for, or the number of a slot now free
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

SLOTS = 4
"""Pictures that may lie in shared memory at once: the child's lead over its consumer."""
MAX_MESSAGE = 16 * 1024
MAX_READ = 32 * 1024 * 1024
"""Bytes a child may ask for at once."""
CHUNK = 64 * 1024
BYTES_TAG = 0xFF
"""First byte of a packet that carries bytes; any smaller value is a slot's number."""

LENGTH_BYTES = 8


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

    @property
    def slot_bytes(self) -> int:
        """Room for the largest picture asked for, as packed RGB."""
        return self.max_width * self.max_height * 3

    def to_json(self) -> bytes:
        """Write the job down for the child."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes | bytearray) -> Self:
        """Read a job that the (trusted) parent wrote."""
        fields: dict[str, Any] = json.loads(text)
        only = fields.pop("only_frames")
        return cls(**fields, only_frames=None if only is None else tuple(only))
