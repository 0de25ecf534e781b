"""`framefleet torture`: kill the fleet for a while, and prove that it lost nothing."""

import json
import random
import sys
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from schemas.errors import FleetError

EXIT_FAILED = 1

out, err = (Console(markup=False, emoji=False, highlight=False, stderr=stderr) for stderr in (False, True))


class Rival(StrEnum):
    """What the fleet's own transport can be held against."""

    STOCK = "stock"


Minutes = Annotated[float | None, typer.Option(help="Torture for so long at most. Ten if left out, or as long as --kills takes.", min=0.1)]
Kills = Annotated[
    int | None, typer.Option(help="About so many SIGKILLs, spread evenly over all stages, and all else in proportion.", min=6)
]
Seed = Annotated[int | None, typer.Option(help="Repeat a torture: the same clips, the same order of deeds. By chance if left out.")]
Against = Annotated[Rival | None, typer.Option(help="Do the same to Celery's own transport, and show it beside ours.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def torture(
    minutes: Minutes = None,
    seed: Seed = None,
    against: Against = None,
    kills: Kills = None,
    as_json: AsJson = False,  # noqa: FBT002 - a command's options are its interface
) -> None:
    """Run a whole fleet on this machine, kill and starve it in every way, and prove from storage alone that nothing is lost or double.

    It needs no servers of yours: Redis, an S3 server, workers and clips are its own. Exit status 0 only if the proof holds.
    """
    from fleet.torture.session import OURS, RIVAL, tortured  # noqa: PLC0415 - heavy, and every command would pay for it
    from fleet.torture.table import as_object, holds, print_outcomes  # noqa: PLC0415

    chosen = random.randrange(10_000) if seed is None else seed  # noqa: S311 - any will do
    found = tortured(seed=chosen, minutes=minutes, kills=kills, against_stock=against is Rival.STOCK, say=say)
    if as_json:
        beside = {name: as_object(outcome) for name, outcome in found.items() if name == RIVAL}
        sys.stdout.write(json.dumps({"seed": chosen, **as_object(found[OURS]), **beside}, indent=2) + "\n")
    else:
        print_outcomes(out, found)
    raise typer.Exit(0 if holds(found[OURS]) else EXIT_FAILED)


def say(words: str) -> None:
    """Tell how far it is."""
    err.print(words, soft_wrap=True)


def main() -> None:
    """Run this command alone."""
    try:
        typer.run(torture)
    except FleetError as error:
        say(f"framefleet: {error}")
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
