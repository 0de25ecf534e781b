"""The operator's last word on a job, in `control.json`: written by people, obeyed by producers and workers within seconds."""

import logging
import threading
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from pydantic import ValidationError

from schemas.control import Control, ControlState, HaltedError
from schemas.errors import OperatorError
from storage import ObjectMissing, StoreError, StoreUnavailable
from storage.job import Job

CONTROL_KEY = "control.json"
ASK_SECONDS = 5.0
"""How old what is known may be. One GET per job, process and 5 s: at S3's prices a worker asks for 0.0003 dollars an hour."""

log = logging.getLogger(__name__)


def read_control(job: Job) -> Control:
    """Read the operator's last word; a job of which nobody has said anything is running.

    Raises:
        OperatorError: it cannot be understood.
    """
    try:
        return Control.model_validate_json(job.store.get(CONTROL_KEY))
    except ObjectMissing:
        return Control()
    except ValidationError as error:
        raise OperatorError(
            f"{job.url}/{CONTROL_KEY} cannot be understood ({error.errors()[0]['msg']}): "
            f"write it anew with framefleet resume, pause or cancel {job.url}"
        ) from error


def set_control(job: Job, state: ControlState, *, by: str, why: str = "") -> Control:
    """Have the last word, whoever had it before."""
    control = Control(state=state, at=datetime.now(UTC), by=by, why=why)
    job.store.replace(CONTROL_KEY, control.model_dump_json(indent=2).encode() + b"\n")
    return control


def halted(job: Job, control: Control) -> HaltedError:
    """Say that a job is not running, and how it goes on."""
    return HaltedError(f"{job.url} is {control}. Nothing is lost; to go on with it: framefleet resume {job.url}")


def refuse_halted(job: Job) -> None:
    """Return if a job is running.

    Raises:
        HaltedError: it is paused or cancelled.
    """
    obey(job, read_control(job))


def obey(job: Job, control: Control) -> None:
    """Return if the operator's last word is to go on.

    Raises:
        HaltedError: it is to wait, or to give up.
    """
    if control.state is not ControlState.RUNNING:
        raise halted(job, control)


class Heed:
    """A job's control as known to one process, which asks storage now and then. Safe from many threads.

    Where storage does not answer, or not sensibly, the last word that was heard stands.
    """

    def __init__(
        self,
        job: Job,
        *,
        remembered: Collection[ControlState] = tuple(ControlState),
        ask_seconds: float = ASK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know nothing yet; states that are not `remembered` are asked for anew each time."""
        self._job = job
        self._remembered, self._ask_seconds, self._clock = remembered, ask_seconds, clock
        self._lock = threading.Lock()
        self._known: Control | None = None
        self._asked_at = float("-inf")

    def control(self) -> Control:
        """The operator's last word, at most a few seconds old; while another thread asks, what was known before."""
        known = self._known
        if known is not None and self._is_fresh(known):
            return known
        with_patience = known is None or known.state not in self._remembered
        if not self._lock.acquire(blocking=with_patience):
            return known or Control()
        try:
            return self._asked()
        finally:
            self._lock.release()

    def _is_fresh(self, known: Control) -> bool:
        return known.state in self._remembered and self._clock() - self._asked_at < self._ask_seconds

    def _asked(self) -> Control:
        if self._known is None or not self._is_fresh(self._known):  # another thread may just have asked
            self._asked_at = self._clock()
            try:
                self._known = read_control(self._job)
            except (StoreError, OperatorError) as error:
                if isinstance(error, StoreUnavailable) and self._known and self._known.state not in self._remembered:
                    raise  # it may have been resumed: what is dropped for an old word is wanted
                self._known = self._known or Control()
                log.warning("whether %s is paused is not known, so it stays %s: %s", self._job.url, self._known.state, error)
        return self._known
