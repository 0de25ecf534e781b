"""The worker processes of a one-machine run: started, watched, drained, and none left behind."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from broker.embedded import start_child
from fleet.supervisor import BOX_VARIABLE, BROKER_VARIABLE, QUIET_ENDS, ending, tell_of
from schemas.errors import OperatorError
from workers.tasks import EXIT_UNFIT

RESTARTS = 24
"""How often workers may end by themselves, without a frame captioned in between, before the run is given up."""
UNFIT_RESTARTS = 8
"""How often each worker may find itself unfit meanwhile, which is seldom bad luck."""


@dataclass(slots=True)
class Crew:
    """A fixed number of workers, each replaced when it dies."""

    size: int
    env: Mapping[str, str]
    logs: Path
    _processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _ends: int = 0
    _unfit_ends: int = 0
    _frames_then: int = 0
    _started_at: float = 0.0

    def start(self) -> None:
        """Start the workers. Call it, and `tend`, from the main thread."""
        self._processes = [self._spawn(number) for number in range(self.size)]

    def tend(self, *, frames: int) -> None:
        """Replace workers that have died; `frames` is the work done so far, which tells bad luck from a broken fleet.

        Raises:
            OperatorError: workers end again and again and nothing gets done.
        """
        if frames > self._frames_then:
            self._frames_then, self._ends, self._unfit_ends = frames, 0, 0
        for number, process in enumerate(self._processes):
            if process.poll() is None:
                continue
            self._tell_of(number, process)
            if self._hopeless_after(process.returncode):
                raise OperatorError(f"The workers cannot go on (the last one ended with {ending(process.returncode)}).")
            self._processes[number] = self._spawn(number)

    def _hopeless_after(self, status: int) -> bool:
        """Count an end, and say whether there were too many; a fleet that was unfit from the first has nothing to wait for."""
        unfit = status == EXIT_UNFIT
        self._ends, self._unfit_ends = self._ends + 1, self._unfit_ends + unfit
        return self._ends > RESTARTS or self._unfit_ends > UNFIT_RESTARTS * self.size or (unfit and not self._frames_then)

    def drain(self) -> None:
        """Ask the workers to finish what they have begun and take nothing more."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)

    def gone(self) -> bool:
        """Whether all workers have ended."""
        return all(process.poll() is not None for process in self._processes)

    def stop(self, *, grace_seconds: float) -> None:
        """End the workers, at once if they do not end within the grace."""
        self.drain()
        end = time.monotonic() + grace_seconds
        while not self.gone() and time.monotonic() < end:
            time.sleep(0.05)
        for process in self._processes:
            process.kill()
            process.wait()

    def _spawn(self, number: int) -> "subprocess.Popen[bytes]":
        env = {**self.env, BOX_VARIABLE: str(self._box(number)), "FRAMEFLEET_WORKERS_ALIKE": "true"}
        with (self.logs / f"worker-{number}.log").open("ab") as log:
            return start_child([sys.executable, "-m", "fleet.cli", "worker"], env=env, log=log.fileno())

    def _box(self, number: int) -> Path:
        return self.logs / f"worker-{number}.box"

    def _tell_of(self, number: int, process: "subprocess.Popen[bytes]") -> None:
        if process.returncode not in QUIET_ENDS:
            tell_of(process.pid, process.returncode, box=self._box(number), broker_url=self.env[BROKER_VARIABLE])
        self._box(number).unlink(missing_ok=True)
