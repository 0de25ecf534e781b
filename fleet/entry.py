"""The console script: imports the command line only when it can already be interrupted without a traceback."""

import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    try:
        from fleet.cli import main as run  # noqa: PLC0415 - takes a second, in which Ctrl-C may come

        run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
