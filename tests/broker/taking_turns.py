"""A queue that several jobs share, at the level of its commands."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from broker import QUEUE
from broker.claims import Claims, Turn, list_of
from broker.scripts import INDEX
from broker.turns import TOKEN, TURNS

LONG_AGO = 1000.0
JOBS = {"a": "aaaaaaaa", "b": "bbbbbbbb", "c": "cccccccc"}
"""Short names of jobs."""


@dataclass
class Taken:
    """A message of a job, or of none, that somebody claimed."""

    job: str
    name: str
    tag: str


class Line:
    """Puts messages in and takes them out; each is named by its job and a number."""

    def __init__(self, redis: Any) -> None:
        self.redis, self.claims = redis, Claims(redis.prefix)
        self._numbers: Counter[str] = Counter()

    def put(self, job: str, count: int = 1, *, weight: float | None = None) -> None:
        """Queue messages of a job, or plain ones where it has no name."""
        messages = []
        for _ in range(count):
            self._numbers[job] += 1
            name = f"{job}:{self._numbers[job]}"
            messages.append((name, f'{{"headers": {{"id": "{name}"}}}}'))
        self.run(self.claims.put(QUEUE, messages, turn=Turn(JOBS.get(job, ""), weight)))

    def take(self) -> Taken | None:
        """Claim the next message."""
        reply = self.run(self.claims.take([QUEUE]))
        if not reply:
            return None
        name = reply[2].decode().rpartition('"id": "')[2].partition('"')[0]
        return Taken(name.partition(":")[0], name, reply[1].decode())

    def takes(self, count: int) -> list[Taken]:
        """Claim so many messages, all of which are there."""
        taken = [self.take() for _ in range(count)]
        assert None not in taken
        return [one for one in taken if one]

    def counts(self, count: int) -> dict[str, int]:
        """Claim so many messages; returns how many of each job."""
        return dict(Counter(one.job for one in self.takes(count)))

    def give_back(self, taken: Taken, *, as_the: Any = "last") -> None:
        """Put a claimed message back."""
        assert self.run(self.claims.give_back(taken.tag, as_the=as_the)) == 1

    def end(self, taken: Taken) -> None:
        """Be done with a message."""
        assert self.run(self.claims.end(taken.tag, once=taken.name)) == 1

    def run_out(self, *taken: Taken) -> None:
        """What happens to claims that nobody renews."""
        self.redis.zadd(INDEX, {one.tag: LONG_AGO for one in taken})

    def waiting(self, job: str) -> int:
        """How many messages of a job wait."""
        return int(self.redis.llen(list_of(QUEUE, JOBS[job])))

    def names(self) -> set[str]:
        """What waits or is claimed."""
        return {name.decode() for name in self.run(self.claims.census(QUEUE))}

    def adds_up(self) -> None:
        """There are as many tokens as messages, and turns for all jobs whose messages wait."""
        tokens = self.redis.lrange(QUEUE, 0, -1).count(TOKEN.encode())
        assert tokens == sum(self.waiting(job) for job in JOBS)
        turns = {job.decode() for job in self.redis.zrange(QUEUE + TURNS, 0, -1)}
        assert turns >= {name for job, name in JOBS.items() if self.waiting(job)}

    def run(self, command: Any) -> Any:
        return self.redis.execute_command(*command)
