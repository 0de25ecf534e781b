"""A worker as the autoscaler's simulation has it: shards side by side, the oldest first, and out within the grace."""

from collections.abc import Callable
from dataclasses import dataclass

from autoscaler_broker import Broker, Shard
from autoscaler_clock import Clock
from autoscaler_meter import Meter

from workers.drain import LAST_SECONDS, SHARE_TO_FINISH

SIDE_BY_SIDE = 2
"""Shards that are really under way: one alone waits for bytes half of the time, the others wait for the oldest (workers/backlog.py)."""


@dataclass(slots=True)
class Hand:
    """A shard that is worked on."""

    shard: Shard
    left: float


class Worker:
    """Takes shards until it is told to leave."""

    def __init__(self, clock: Clock, broker: Broker, meter: Meter, *, shards_at_once: int, gone: Callable[[], None]) -> None:
        self._clock, self._broker, self._meter, self._gone = clock, broker, meter, gone
        self._at_once, self._hands = shards_at_once, list[Hand]()
        self._moved_at, self._version = clock.now, 0
        self.leaving = self.over = False
        broker.takers.append(self)
        broker.ring()

    @property
    def room(self) -> int:
        """How many more shards it would take."""
        return 0 if self.leaving else self._at_once - len(self._hands)

    @property
    def busy(self) -> int:
        """How many shards it has."""
        return len(self._hands)

    def give(self, shard: Shard) -> None:
        """Begin another shard."""
        self.move()
        self._hands.append(Hand(shard, shard.seconds))
        self._await_next()

    def move(self) -> None:
        """Work until now."""
        seconds, self._moved_at = self._clock.now - self._moved_at, self._clock.now
        for hand in self._hands[:SIDE_BY_SIDE]:
            hand.left -= seconds / SIDE_BY_SIDE
        filled = min(len(self._hands), SIDE_BY_SIDE) / SIDE_BY_SIDE
        self._meter.spend("unfilled" if self._hands else "idle", seconds * (1 - filled))
        self._meter.spend("worked", seconds * filled)

    def _await_next(self) -> None:
        self._version += 1
        version = self._version
        if self._hands:
            self._clock.after(SIDE_BY_SIDE * min(hand.left for hand in self._hands[:SIDE_BY_SIDE]), lambda: self._end_some(version))

    def _end_some(self, version: int) -> None:
        if self.over or version != self._version:
            return
        self.move()
        ended = [hand for hand in self._hands[:SIDE_BY_SIDE] if hand.left < 1e-6]
        self._hands = [hand for hand in self._hands if hand not in ended]
        for hand in ended:
            self._broker.done(hand.shard)
            self._meter.spend("useful", hand.shard.seconds)
        while self.room and (shard := self._broker.take()):
            self._hands.append(Hand(shard, shard.seconds))
        self._await_next()
        if self.leaving and not self._hands:
            self._end()

    def leave(self, whom: str, *, grace_seconds: float, killed_after: float) -> None:
        """SIGTERM: finish what can be finished, then hand back; SIGKILL, if that comes first."""
        if not self.leaving:
            self.leaving = True
            self._meter.busy_pods_ended[whom] += bool(self._hands)
            due = min(SHARE_TO_FINISH * grace_seconds, grace_seconds - 2 * LAST_SECONDS)
            self._clock.after(due, lambda: self._let_go(whom, self._broker.give_back))
        self._clock.after(killed_after, lambda: self._let_go(whom, self._broker.run_out))
        if not self._hands:
            self._end()

    def _let_go(self, whom: str, how: Callable[[list[Shard]], None]) -> None:
        if self.over:
            return
        self.move()
        self._meter.lose(whom, sum(hand.shard.seconds - hand.left for hand in self._hands))
        shards, self._hands = [hand.shard for hand in self._hands], []
        self._end()
        how(shards)

    def close(self) -> None:
        """Count what was done until the end of the simulation."""
        self.move()
        self._meter.spend("unfinished", sum(hand.shard.seconds - hand.left for hand in self._hands))

    def _end(self) -> None:
        if not self.over:
            self.move()
            self.over = True
            self._broker.takers.remove(self)
            self._gone()
