"""A worker's keeper: starts it, passes signals on, and tells the broker how it died, so that its shards come back at once."""

import fcntl
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO

from broker.embedded import start_child
from schemas.errors import OperatorError

EXIT_ENGINE_DIED = 5
QUIET_ENDS = (0, 4, EXIT_ENGINE_DIED)
"""Exit statuses with which a worker ends in order, having told all there was to tell; see `workers.tasks`."""
BROKER_VARIABLE, BOX_VARIABLE = "FRAMEFLEET_BROKER_URL", "FRAMEFLEET_BLACK_BOX"
DEFAULT_BROKER = "redis://localhost:6379/0"


def box_folder() -> Path:
    """Where black boxes are kept: in memory where the system has it."""
    shared = Path("/dev/shm")  # noqa: S108 - names in it are random and their files private
    return shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())


def new_box() -> "IO[bytes]":
    """Make an empty black box that only this user can read, which goes when it is closed; clear away those of keepers that were killed.

    A keeper holds a lock on its box for as long as it lives, whatever its number is where others look from.
    """
    for left in box_folder().glob("framefleet-box-*"):
        with suppress(OSError), left.open("rb") as stale:  # another keeper's, who lives, or another user's
            fcntl.flock(stale, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
    box = tempfile.NamedTemporaryFile(prefix=f"framefleet-box-{os.getpid()}-", dir=box_folder())  # noqa: SIM115 - its keeper closes it
    fcntl.flock(box, fcntl.LOCK_EX)
    return box


def supervise(words: Sequence[str]) -> int:
    """Run `framefleet worker` with these words in a process of its own until it ends; returns its exit status, 128 and more for a signal.

    The first signal to end lets the worker drain, the second kills it, which costs nothing but its work. The keeper itself imports next
    to nothing, so that it costs little memory. Call it from the main thread.
    """
    with new_box() as box:
        asked: list[int] = []
        command = [sys.executable, "-m", "fleet.cli", *words]
        child = start_child(command, env={**os.environ, BOX_VARIABLE: box.name}, log=sys.stderr.fileno())

        def pass_on(number: int, _frame: FrameType | None) -> None:
            asked.append(number)
            child.send_signal(signal.SIGTERM if len(asked) == 1 else signal.SIGKILL)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, pass_on)
        status = child.wait()
        if status not in QUIET_ENDS:
            tell_of(child.pid, status, box=Path(box.name), broker_url=broker_in(words, os.environ), asked=bool(asked))
        return 0 if asked else exit_status(status)


def tell_of(pid: int, status: int, *, box: Path, broker_url: str, asked: bool = False) -> None:
    """Tell the broker of a worker that died: who may be guilty, unless the worker was asked to end, and that its shards are free."""
    from broker.app import make_app  # noqa: PLC0415 - heavy, and needed only after a crash
    from broker.progress import report_fault  # noqa: PLC0415
    from workers.blackbox import steps_in  # noqa: PLC0415
    from workers.blame import blame, give_back, refund  # noqa: PLC0415

    steps, how = steps_in(box), ending(status)
    with suppress(OperatorError):  # a broker that is away learns of it when the claims run out
        app = make_app(broker_url)
        blame(app, () if asked else steps, how=how)
        refund(app, steps)  # of those not blamed: they only waited for their turn, or for the acknowledgement
        give_back(app, steps)
        if not asked:
            report_fault(app, f"Worker process {pid} ended with {how}; it was at {len(steps)} shards, which go to others.")


def ending(status: int) -> str:
    """Name how a process ended: by a signal, or with an exit status."""
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def exit_status(status: int) -> int:
    """A process's end as shells number it."""
    return 128 - status if status < 0 else status


def broker_in(words: Sequence[str], env: Mapping[str, str]) -> str:
    """Find the broker that a worker's command line or environment names."""
    for at, word in enumerate(words):
        if word == "--broker" and at + 1 < len(words):
            return words[at + 1]
        if word.startswith("--broker="):
            return word.removeprefix("--broker=")
    return env.get(BROKER_VARIABLE, DEFAULT_BROKER)
