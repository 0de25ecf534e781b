"""What the proxy saw of each worker: which shards were taken up when, by whom, and how far they came."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field

ECHO_SECONDS = 0.4
"""A worker looks at an object right after its own PUT was refused, to see whose it is; a shard that comes back is later."""
DONE, MISSING = 200, 404


def shard_in(key: str) -> str:
    """The shard whose committed object has this key, behind the prefix of its job; empty if it is another kind of object."""
    job, found, rest = key.rpartition("/captions/")
    return f"{job}:{rest.rpartition('/')[2].partition('.jsonl')[0]}" if found else ""


@dataclass(slots=True)
class Hit:
    """A shard whose worker was killed, and when somebody else took it up."""

    shard: str
    at: float
    told: bool
    """Whether somebody saw the death and told the broker."""
    again_at: float | None = None


@dataclass(slots=True)
class Journal:
    """Notes of one run; times are `time.monotonic()`."""

    taken: Counter[str] = field(default_factory=Counter)
    """How often each shard was taken up."""
    hits: list[Hit] = field(default_factory=list)
    _open: defaultdict[int, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    """The shards a worker is at, with the moment of its last PUT."""
    _waiting: dict[str, Hit] = field(default_factory=dict)
    _sighted: defaultdict[str, set[Hashable]] = field(default_factory=lambda: defaultdict(set))
    """Who has had a shard in hand."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, slot: int, method: str, key: str, status: int) -> None:
        """Note an answer that a worker was sent."""
        shard = shard_in(key)
        if not shard:
            return
        with self._lock:
            if method == "HEAD" and status in {DONE, MISSING}:
                self._looked(slot, shard, done=status == DONE)
            elif method == "PUT":
                self._open[slot][shard] = time.monotonic()

    def sighted(self, shard: str, by: Hashable) -> None:
        """Note that a shard was seen in a worker's black box, under a certain claim: it may wait there for its turn."""
        with self._lock:
            if by not in self._sighted[shard]:
                self._sighted[shard].add(by)
                self._taken_again(shard)

    def at_work_on(self, slot: int) -> list[str]:
        """The shards that a worker took up and whose commit was not answered yet."""
        with self._lock:
            return [shard for shard, put_at in self._open[slot].items() if not put_at]

    def killed(self, slot: int, *more: str, told: bool) -> None:
        """Note that a worker was killed, and with it what it was at, and perhaps `more`; nothing of it is counted twice."""
        with self._lock:
            now = time.monotonic()
            held = {shard for shard, put_at in self._open.pop(slot, {}).items() if now - put_at < ECHO_SECONDS or not put_at}
            for shard in held.union(more):
                self._hit(Hit(shard, now, told))

    def ended(self, slot: int) -> None:
        """Note that a worker ended by itself, and handed back what it had."""
        with self._lock:
            self._open.pop(slot, None)

    def times_hit(self, shard: str) -> int:
        """How often a shard's worker was killed."""
        with self._lock:
            return sum(hit.shard == shard for hit in self.hits)

    def recoveries(self, *, told: bool) -> list[float]:
        """Seconds from each kill, whether or not it was told of, to the moment its shards were taken up again, in order."""
        with self._lock:
            return sorted(hit.again_at - hit.at for hit in self.hits if hit.again_at is not None and hit.told == told)

    def _hit(self, hit: Hit) -> None:
        self.hits.append(hit)
        self._waiting[hit.shard] = hit

    def _looked(self, slot: int, shard: str, *, done: bool) -> None:
        now = time.monotonic()
        if now - self._open[slot].get(shard, 0.0) < ECHO_SECONDS:
            return
        for others in self._open.values():
            others.pop(shard, None)
        self._open[slot][shard] = now if done else 0.0
        self.taken[shard] += 1
        self._taken_again(shard)

    def _taken_again(self, shard: str) -> None:
        if (hit := self._waiting.pop(shard, None)) is not None:
            hit.again_at = time.monotonic()
