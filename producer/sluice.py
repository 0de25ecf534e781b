"""The gate before the queue: shards pass in batches, as many as the window's policy lets wait."""

from collections.abc import Callable, Sequence
from typing import Protocol

from broker.queues import BrokerFullError
from producer.window import Drain, Limits, Look, Room, room
from schemas.task import ShardTask

BATCH = 256
"""Shards that pass between two looks."""
MEASURED_EVERY_SECONDS = 1.0
SMALLEST_MESSAGE, ORDINARY_MESSAGE, LARGEST_MESSAGE = 256.0, 4096.0, 65536.0
"""Bytes that a message takes in Redis."""


class Queue(Protocol):
    """What the producer asks of the queue."""

    def send_all(self, tasks: Sequence[ShardTask], *, weight: float | None = None) -> int:
        """Enqueue shards; returns how many neither waited nor were being worked on."""

    def depth(self, job: str | None = None) -> int:
        """Count the shards that wait, of all jobs or of one."""

    def jobs(self) -> int:
        """Count the jobs of which shards wait."""

    def used_bytes(self) -> int:
        """Tell how much memory the broker uses."""

    def limit_bytes(self) -> int | None:
        """Tell how much memory the broker may use; None where nobody set a limit."""

    def epoch(self, job: str) -> str:
        """Name the broker's present memory of a job; another name means that what was sent may be forgotten."""

    def in_flight(self, job: str | None = None) -> frozenset[str]:
        """Name the messages that wait or are being worked on, of all jobs or of one."""


class Sluice:
    """Sends one job's shards as there is room."""

    def __init__(
        self, queue: Queue, job: str, limits: Limits, *, weight: float | None, say: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        """Know nothing of the queue yet."""
        self._queue, self._job, self._limits, self._weight, self._say, self._clock = queue, job, limits, weight, say, clock
        self._drain, self._measured_at, self._waiting = Drain(), clock(), queue.depth(job)
        self._sent_since, self._emptied, self._filling, self._told = 0, False, False, False
        self._batch = BATCH
        self._message_bytes, self._used_bytes = ORDINARY_MESSAGE, 0
        self._maxmemory_bytes = queue.limit_bytes() or 0

    def send(self, tasks: Sequence[ShardTask]) -> tuple[int, int]:
        """Send the first of these as far as there is room now: how many they were, and how many of them were new."""
        found = self._room()
        if found.full:
            self._tell(self._why_full())
        batch = tasks[: min(found.shards, self._batch)]
        return self._sent(batch) if batch else (0, 0)

    def _sent(self, batch: Sequence[ShardTask]) -> tuple[int, int]:
        """Send a batch, all of it or, as far as is known, nothing; where Redis did not take all it goes better with fewer."""
        try:
            new = self._queue.send_all(batch, weight=self._weight)
        except BrokerFullError as full:
            self._tell(str(full))
            self._batch = max(1, self._batch // 4)
            self._sent_since += full.sent
            return 0, full.sent
        self._batch = min(BATCH, 2 * self._batch)
        self._sent_since += new
        self._learn(new)
        return len(batch), new

    def _tell(self, words: str) -> None:
        if not self._told:
            self._told = True
            self._say(words)

    def _room(self) -> Room:
        look = Look(self._queue.depth(self._job), self._queue.used_bytes(), self._maxmemory_bytes, max(1, self._queue.jobs()))
        self._used_bytes = look.used_bytes
        self._measure(look)
        found = room(look, filling=self._filling, drain=self._drain, limits=self._limits, message_bytes=self._message_bytes)
        self._filling = found.shards > 0 or found.full
        return found

    def _measure(self, look: Look) -> None:
        self._emptied |= look.waiting == 0 and self._sent_since > 0
        seconds = self._clock() - self._measured_at
        if seconds >= MEASURED_EVERY_SECONDS:
            taken = self._waiting + self._sent_since - look.waiting
            self._drain = self._drain.after(seconds, taken=taken, emptied=self._emptied)
            self._measured_at, self._waiting, self._sent_since, self._emptied = self._clock(), look.waiting, 0, False
            self._maxmemory_bytes = self._queue.limit_bytes() or 0

    def _learn(self, new: int) -> None:
        """See what a batch has taken of Redis, as long as workers have not taken more from it meanwhile."""
        if new >= BATCH // 4:
            each = (self._queue.used_bytes() - self._used_bytes) / new
            if each > 0:
                self._message_bytes += 0.3 * (min(max(each, SMALLEST_MESSAGE), LARGEST_MESSAGE) - self._message_bytes)

    def _why_full(self) -> str:
        cap = self._limits.cap_bytes(maxmemory_bytes=self._maxmemory_bytes)
        return (
            f"The broker holds {self._used_bytes / 2**20:.0f} MiB, and may hold {cap / 2**20:.0f}: no more is sent until workers have "
            "taken some. Where that is too little: --redis-bytes, and Redis's maxmemory."
        )
