"""What a worker counts while it works, told to the broker about once a second."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from broker.app import App
from broker.progress import Progress, Tally
from broker.vitals import forget_vitals, tell_vitals
from schemas.errors import OperatorError
from workers.pulse import Pulse

FLUSH_SECONDS = 1.0

log = logging.getLogger(__name__)


class Reporter:
    """Adds up tallies by job and sends them on with the worker's vitals, so that a frame costs no round trip."""

    def __init__(self, app: App, pulse: Pulse, *, look: Callable[[], None] = lambda: None) -> None:
        """Start telling the broker of this application; `look` is called each time."""
        self._app = app
        self._pulse = pulse
        self._look = look
        self._lock = threading.Lock()
        self._tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)
        self._thread.start()

    def count(self, job: str, tally: Tally) -> None:
        """Count something done for a job."""
        self._pulse.count(tally.frames)
        with self._lock:
            self._tallies[job] = self._tallies[job].plus(tally)

    def close(self) -> None:
        """Tell what is left, and that this worker is gone; then stop."""
        self._stopped.set()
        self._thread.join()
        self.flush()
        with suppress(OperatorError):  # then it is forgotten by itself, a little later
            forget_vitals(self._app, self._pulse.worker)

    def flush(self) -> None:
        """Tell what was counted now."""
        with self._lock:
            tallies, self._tallies = self._tallies, defaultdict(Tally)
        try:
            for job, tally in tallies.items():
                Progress(self._app, job).add(tally)
        except OperatorError as error:
            log.warning("progress was not reported: %s", error)

    def _run(self) -> None:
        while not self._stopped.wait(FLUSH_SECONDS):
            self.flush()
            self._tell()
            self._look()

    def _tell(self) -> None:
        try:
            tell_vitals(self._app, self._pulse.vitals())
        except OperatorError as error:
            log.debug("vitals were not told: %s", error)
