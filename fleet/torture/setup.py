"""What a torture is made of: how many clips and workers, over which transport, and from which seed."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from fleet.options import recipe_of
from fleet.torture.clips import Clip, clips
from fleet.torture.expected import fates
from fleet.torture.fate import Fate
from fleet.torture.jobs import EVERY

GRACE_SECONDS = 25
OURS, STOCK = "", "?transport=celery"
"""What stands behind the broker's URL for either transport."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One torture, before it begins."""

    seed: int
    clips: tuple[Clip, ...]
    fates: dict[str, Fate]
    transport: str = OURS
    workers: int = 3
    shards_at_once: int = 2
    latency_seconds: float = 0.25
    """How long the engine takes for a picture."""
    concurrency: int = 4
    worker: Sequence[str] = ("-m", "fleet.entry", "worker")
    """What is started as a worker; the checker's own test has workers that break the rules."""
    kept: bool = True
    """Whether that is a keeper, and the worker a process below it."""

    def worker_command(self) -> list[str]:
        """How a worker is started."""
        return [sys.executable, *self.worker]

    def settings(self) -> dict[str, str]:
        """What workers are told."""
        return {
            "FRAMEFLEET_ENGINE": "scripted",
            "FRAMEFLEET_SCRIPTED_LATENCY_SECONDS": f"{self.latency_seconds:g}",
            "FRAMEFLEET_SCRIPTED_CONCURRENCY": f"{self.concurrency}",
            "FRAMEFLEET_SHARDS_AT_ONCE": f"{self.shards_at_once}",
            "FRAMEFLEET_GRACE_SECONDS": f"{GRACE_SECONDS}",
        }


def plotted(*, seed: int, clip_count: int = 48) -> Plot:
    """Make the clips, and find out how each must end."""
    made = tuple(clips(clip_count, seed=seed))
    return Plot(seed=seed, clips=made, fates=fates(made, recipe_of(None, "scripted", every=EVERY)))
