"""`framefleet health`: whether a worker touched a file of its health folder lately. For probes, so it imports next to nothing.

Exit status: 0 it did, 1 it did not, 2 the command line makes no sense.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

FOLDER_VARIABLE = "FRAMEFLEET_HEALTH_FOLDER"
WITHIN_SECONDS = 30.0


def run(words: Sequence[str]) -> int:
    """Look at one file's age, and say what is wrong."""
    asked = parser().parse_args(words)
    if not asked.folder:
        return ill(f"No folder was named: set {FOLDER_VARIABLE} as for the worker, or give --folder.")
    path = Path(asked.folder) / asked.what
    try:
        age_seconds = time.time() - path.stat().st_mtime
    except OSError as error:
        return ill(f"The worker is not {asked.what}: {path} cannot be looked at ({error.strerror}).")
    if age_seconds > asked.within:
        return ill(f"The worker is not {asked.what}: {path} was last touched {age_seconds:.0f} s ago, more than {asked.within:g} s.")
    return 0


def parser() -> argparse.ArgumentParser:
    """The words it understands."""
    found = argparse.ArgumentParser(prog="framefleet health", description="Say by its exit status how a worker is.")
    found.add_argument("what", choices=("alive", "ready", "progress"))
    found.add_argument("--within", type=float, default=WITHIN_SECONDS, metavar="SECONDS", help="how old the file may be")
    found.add_argument("--folder", default=os.environ.get(FOLDER_VARIABLE), help=f"the worker's health folder [{FOLDER_VARIABLE}]")
    return found


def ill(why: str) -> int:
    """Say why, for the events of whoever probes."""
    sys.stderr.write(f"framefleet: {why}\n")
    return 1
