"""The console script: imports the command line only when it can already be interrupted without a traceback.

`framefleet worker` is kept by a process of its own; `python -m fleet.cli worker` is the bare worker. `framefleet health` is run by
probes every few seconds, and so without the command line; `framefleet flower` needs little of it.
"""

import sys

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line."""
    try:
        if sys.argv[1:2] == ["health"]:
            from fleet.health import run as look  # noqa: PLC0415

            sys.exit(look(sys.argv[2:]))
        if sys.argv[1:2] == ["worker"] and "--help" not in sys.argv:
            from fleet.supervisor import supervise  # noqa: PLC0415

            sys.exit(supervise(sys.argv[1:]))
        if sys.argv[1:2] == ["flower"]:
            from fleet.flower import run as show  # noqa: PLC0415

            show(sys.argv[2:])
        from fleet.cli import main as run  # noqa: PLC0415 - takes a second, in which Ctrl-C may come

        run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
