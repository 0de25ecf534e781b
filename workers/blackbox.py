"""What a worker was doing when it died: a small file in shared memory that whoever watches the worker reads after its death.

Writing costs a copy of a few hundred bytes and no system call, so that every step can be written down, and a SIGKILL takes nothing back.
"""

import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from schemas.errors import FleetError
from schemas.model import Model
from schemas.reasons import Stage

PLACES, PLACE_BYTES = 256, 2048
SIZE_BYTES = PLACES * PLACE_BYTES
VARIABLE = "FRAMEFLEET_BLACK_BOX"
"""Names the file in a worker's environment; set by whoever watches it."""


class Step(Model):
    """Where one shard stands in a worker."""

    job: str
    shard_id: str
    tag: str
    """The claim under which it is worked."""
    stage: Stage | None = None
    """None before the first video and after the last."""
    place: int | None = None
    """Which video of the shard the stage is about; None where it is about all."""
    committed: bool = False
    """Whether its object is there, so that only the acknowledgement is missing."""


class BlackBox:
    """A file of as many places as a worker works shards at once."""

    def __init__(self, path: Path | None) -> None:
        """Write to this file; to memory that nobody reads if there is none.

        Raises:
            FleetError: the file cannot be written.
        """
        try:
            self._memory = mmap.mmap(-1, SIZE_BYTES) if path is None else _mapped(path)
        except OSError as error:
            raise FleetError(f"{path} cannot hold what the worker does ({error.strerror}); check {VARIABLE}.") from error
        self._free = list(range(PLACES))
        self._lock = threading.Lock()

    def steps(self) -> list[Step]:
        """What is under way now."""
        return _steps(self._memory[:])

    @contextmanager
    def place(self) -> "Iterator[Place]":
        """Lend a place for one shard; it is blank again behind the block."""
        with self._lock:
            number = self._free.pop()
        place = Place(self._memory, number * PLACE_BYTES)
        try:
            yield place
        finally:
            place.blank()
            with self._lock:
                self._free.append(number)


class Place:
    """Where one shard's step is written."""

    def __init__(self, memory: mmap.mmap, start: int) -> None:
        """Write into these bytes."""
        self._memory, self._start = memory, start

    def write(self, step: Step) -> None:
        """Write a step over the one before."""
        body = step.model_dump_json(exclude_defaults=True).encode()
        if len(body) <= PLACE_BYTES:
            self._memory[self._start : self._start + PLACE_BYTES] = body.ljust(PLACE_BYTES, b"\0")

    def blank(self) -> None:
        """Say that nothing is worked here."""
        self._memory[self._start : self._start + PLACE_BYTES] = bytes(PLACE_BYTES)


def _mapped(path: Path) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(descriptor, SIZE_BYTES)
        return mmap.mmap(descriptor, SIZE_BYTES)
    finally:
        os.close(descriptor)


def steps_in(path: Path) -> list[Step]:
    """Read what a worker was at; a step that was cut by its death is left out."""
    return _steps(path.read_bytes() if path.exists() else b"")


def _steps(body: bytes) -> list[Step]:
    written = (body[start : start + PLACE_BYTES].rstrip(b"\0") for start in range(0, len(body), PLACE_BYTES))
    return [step for text in written if text and (step := _parsed(text))]


def _parsed(text: bytes) -> Step | None:
    try:
        return Step.model_validate_json(text)
    except ValidationError:
        return None
