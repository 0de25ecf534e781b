"""A queue in memory, with workers that take from it when it is looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from broker.queues import BrokerFullError, message_id
from schemas.task import ShardTask


@dataclass
class FakeQueue:
    """Remembers what it was sent, and whose workers take `taken_per_look` shards whenever its depth is asked for."""

    events: list[str] = field(default_factory=list)
    flying: frozenset[str] = frozenset()
    waiting: int = 0
    taken_per_look: int = 0
    deepest: int = 0
    memory: str = "first"
    """What it is called as long as it has forgotten nothing."""
    used: int = 0
    limit: int | None = None
    most: int = 10**9
    """Messages that it has memory for."""
    batches: list[int] = field(default_factory=list)
    weights: set[float | None] = field(default_factory=set)

    def send_all(self, tasks: Sequence[ShardTask], *, weight: float | None = None) -> int:
        fitting = tasks[: self.most - self.waiting]
        new = [task for task in fitting if message_id(task.job, task.shard_id) not in self.flying]
        self.events += [task.shard_id for task in fitting]
        self.waiting += len(new)
        self.deepest = max(self.deepest, self.waiting)
        self.batches.append(len(tasks))
        self.weights.add(weight)
        if len(fitting) < len(tasks):
            message = "The broker's memory is full."
            raise BrokerFullError(message, sent=len(new))
        return len(new)

    def depth(self, job: str | None = None) -> int:
        del job
        self.waiting = max(0, self.waiting - self.taken_per_look)
        return self.waiting

    def jobs(self) -> int:
        return 1

    def used_bytes(self) -> int:
        return self.used

    def limit_bytes(self) -> int | None:
        return self.limit

    def epoch(self, job: str) -> str:
        return f"{self.memory}:{job}"

    def in_flight(self, job: str | None = None) -> frozenset[str]:
        del job
        return self.flying
