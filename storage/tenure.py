"""One producer at a time: a lease on a job in `producer/<number>.json`, from nothing but create-only and replace.

Whoever creates the next number has it, and deposes the one before. Its holder counts a beat in it; a contender takes the next number
only where the last was released, its process is dead, or its beat stands still for a while by the contender's own clock. Two that feed
at once do no harm (parts of the plan are create-only, messages are sent once), so a lease that is lost late costs work and nothing else.
"""

import getpass
import logging
import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from schemas.errors import OperatorError
from schemas.tenure import Tenure
from storage import ObjectMissing, StoreError
from storage.job import Job
from storage.processes import is_dead, process_name

FOLDER = "producer/"
NAME = re.compile(r"producer/\d{6,}\.json")

Spent = Callable[[], dict[str, float]]
"""Tells what the job has cost so far, by unit; asked from any thread."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a holder shows that it is alive, and how long a contender looks."""

    beat_seconds: float = 10.0
    save_seconds: float = 5.0
    """How old what is written down of its progress may be while it goes on."""
    watch_seconds: float = 30.0
    look_seconds: float = 1.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Hold:
    """A tenure while it is held. Safe from two threads: one that feeds, and one that counts the beat however long the other waits."""

    def __init__(self, job: Job, tenure: Tenure, pace: Pace, spent: Spent | None = None) -> None:
        """Hold a tenure that was just taken."""
        self._job, self._pace, self._spent = job, pace, spent
        self._lock, self._writing, self._over = threading.Lock(), threading.Lock(), threading.Event()
        self._deposed: OperatorError | None = None
        self._written_at = pace.clock()
        self.tenure = tenure

    def note(self, **changes: Any) -> None:
        """Remember what has changed, and write it down now and then. A store that is away costs nothing: the next beat brings it.

        Raises:
            OperatorError: another producer has taken over.
        """
        self._remember(changes)
        if self._pace.clock() - self._written_at >= self._pace.save_seconds:
            self._write()
        self.check()

    def _remember(self, changes: dict[str, Any]) -> None:
        with self._lock:
            self.tenure = self.tenure.model_copy(update=changes)

    def _write(self) -> None:
        with self._writing:
            self._remember({"beat": self.tenure.beat + 1} | ({"spent": self._spent()} if self._spent else {}))
            self._written_at = self._pace.clock()
            try:
                self._deposed = self._deposed or self._successor()
                if self._deposed is None:
                    self._job.store.replace(key(self.tenure.number), _body(self.tenure))
            except StoreError as error:
                log.warning("The producer's lease is not renewed: %s", error)

    def check(self) -> None:
        """Return if the tenure is still held, as far as is known.

        Raises:
            OperatorError: another producer has taken over.
        """
        if self._deposed is not None:
            raise self._deposed

    def begin(self) -> None:
        """Count the beat from now on."""
        threading.Thread(target=self._beat, name="tenure", daemon=True).start()

    def end(self) -> None:
        """Release the tenure, unless another has it."""
        self._over.set()
        self._remember({"released": True})
        self._write()

    def _beat(self) -> None:
        while not self._over.wait(self._pace.beat_seconds):
            self._write()

    def _successor(self) -> OperatorError | None:
        try:
            successor = _read(self._job, key(self.tenure.number + 1))
        except ObjectMissing:
            return None
        return OperatorError(
            f"{self._job.url} is fed by another producer now ({successor}), which took over since this one had not been heard of for "
            "a while. This one stops. Nothing is lost; to see how the job is: framefleet status " + self._job.url
        )


@contextmanager
def holding(
    job: Job, *, say: Callable[[str], None], stopped: Callable[[], bool], pace: Pace | None = None, spent: Spent | None = None
) -> Iterator[Hold | None]:
    """Hold a job's tenure for the block; None if whoever asks was stopped while it waited.

    Raises:
        OperatorError: another producer has it, and is alive.
    """
    pace = pace or Pace()
    tenure = take(job, say=say, stopped=stopped, pace=pace)
    if tenure is None:
        yield None
        return
    hold = Hold(job, tenure, pace, spent)
    hold.begin()
    try:
        yield hold
    finally:
        hold.end()


def take(job: Job, *, say: Callable[[str], None], stopped: Callable[[], bool], pace: Pace) -> Tenure | None:
    """Take the next tenure once the last one is free, and go on with what stands in it; None if stopped before.

    Raises:
        OperatorError: another producer has it, and is alive.
    """
    while not stopped():
        last = latest(job)
        if last is not None and not _is_free(last):
            last = _watched(job, last, say=say, stopped=stopped, pace=pace)
            if last is None:
                return None
        tenure = _after(last)
        if job.store.create(key(tenure.number), _body(tenure)):
            return tenure
    return None


def latest(job: Job) -> Tenure | None:
    """Read who has or had a job's tenure last; None where nobody ever fed it.

    Raises:
        OperatorError: it cannot be understood.
    """
    keys = [meta.key for meta in job.store.list(FOLDER) if NAME.fullmatch(meta.key)]
    return _read(job, keys[-1]) if keys else None


def key(number: int) -> str:
    """Where a tenure lies, relative to the job."""
    return f"{FOLDER}{number:06d}.json"


def _watched(job: Job, last: Tenure, *, say: Callable[[str], None], stopped: Callable[[], bool], pace: Pace) -> Tenure | None:
    """Wait until a tenure is free, and return it as it was last seen; None if stopped."""
    say(f"Another producer may be at {job.url} ({last}): waiting {pace.watch_seconds:g} s to see.")
    end = pace.clock() + pace.watch_seconds
    while not stopped():
        pace.sleep(pace.look_seconds)
        now = latest(job) or last
        if _is_free(now) or (now == last and pace.clock() >= end):
            return now
        if now != last:
            raise OperatorError(
                f"Another producer is at {job.url}: {now}. Let it finish; or end it there with Ctrl-C or SIGTERM, then run this again: "
                "it goes on where that one stopped."
            )
    return None


def _is_free(tenure: Tenure) -> bool:
    return tenure.released or is_dead(tenure.process)


def _after(last: Tenure | None) -> Tenure:
    """A tenure of this process that goes on with the last one."""
    mine: dict[str, Any] = {
        "who": getpass.getuser(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process": process_name(os.getpid()),
        "token": uuid.uuid4().hex,
        "begun_at": datetime.now(UTC),
        "beat": 0,
        "released": False,
    }
    return Tenure(number=1, **mine) if last is None else last.model_copy(update=mine | {"number": last.number + 1})


def _read(job: Job, name: str) -> Tenure:
    try:
        return Tenure.model_validate_json(job.store.get(name))
    except ValidationError as error:
        raise OperatorError(
            f"{job.url}/{name} cannot be understood ({error.errors()[0]['msg']}): where no producer of another version of framefleet "
            "is at this job, delete that object and run this again."
        ) from error


def _body(tenure: Tenure) -> bytes:
    return tenure.model_dump_json(indent=2).encode() + b"\n"
