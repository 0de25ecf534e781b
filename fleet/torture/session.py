"""One call of the command: the torture of our transport, and the same of a rival's if that is asked for."""

import time
from collections.abc import Iterator
from dataclasses import replace

from fleet.torture.nemeses import Nemesis
from fleet.torture.run import Outcome, Say, torture, until
from fleet.torture.schedule import endless, rounds
from fleet.torture.servers import require_object_server
from fleet.torture.setup import STOCK, Plot, plotted

PER_ROUND = 18
MINUTES = 10.0
OURS, RIVAL = "framefleet", "stock"
"""What the columns are called."""


def tortured(*, seed: int, minutes: float | None, kills: int | None, against_stock: bool, say: Say) -> dict[str, Outcome]:
    """Torture the fleet, and perhaps Celery's own transport, with the same clips and the same order of deeds."""
    require_object_server()  # before clips are made in vain
    say(f"seed {seed}; making clips")
    plot = plotted(seed=seed)
    found = {OURS: torture(plot, planned(plot, minutes=minutes, kills=kills), say=say)}
    if against_stock:
        rival = replace(plot, transport=STOCK)
        found[RIVAL] = torture(rival, planned(rival, minutes=minutes, kills=kills), say=say)
    return found


def planned(plot: Plot, *, minutes: float | None, kills: int | None) -> Iterator[Nemesis]:
    """What is done to a fleet: so many kills, or as many as there is time for; the clock starts with the first."""
    if kills is None:
        chosen = endless(per_round=PER_ROUND, workers=plot.workers, seed=plot.seed)
        yield from until(time.monotonic() + 60 * (MINUTES if minutes is None else minutes), chosen)
        return
    chosen = iter(rounds(kill_count=kills, workers=plot.workers, seed=plot.seed))
    yield from chosen if minutes is None else until(time.monotonic() + 60 * minutes, chosen)
