"""What the autoscaler's simulation counts.

starting   the machine boots, pulls the image, loads the model
empty      a machine has no pod
idle       a worker has no shard
unfilled   the part of a GPU that is left by a worker with one shard
worked     of this `useful` ended in a commit, and `lost` was on shards that were then handed back or ran out

Every GPU-second that is paid for is one of these.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Meter:
    """Sums of a run."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """GPU-seconds by what they were; `lost` by whom: `lost to …`."""
    busy_pods_ended: Counter[str] = field(default_factory=Counter)
    """Pods that had shards when they were told to end, by who told them."""

    def spend(self, what: str, seconds: float) -> None:
        """Count GPU-seconds."""
        self.seconds[what] += seconds

    def lose(self, whom: str, seconds: float) -> None:
        """Count work that was in vain."""
        self.spend(f"lost to {whom}", seconds)

    @property
    def lost(self) -> float:
        """Work that was in vain."""
        return sum(seconds for what, seconds in self.seconds.items() if what.startswith("lost"))
