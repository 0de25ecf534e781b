"""Claims in Redis: what the scripts do, as calls with the server's keys filled in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from broker import scripts
from broker.scripts import BELL, BREAKER, CLAIMS, COUNTER, INDEX, LOOKED, ONCE, ORIGINS
from broker.turns import CENSUS, OF_JOB, PURGE

Command = tuple[Any, ...]
"""A Redis command, ready to be sent as it is."""
END_OF_QUEUE: dict[str, Literal["RPUSH", "LPUSH"]] = {"next": "RPUSH", "last": "LPUSH"}


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose message it is: jobs take turns, by their weights."""

    job: str = ""
    """The job's short name, or nothing where the message is no job's: it then keeps its place in the line."""
    weight: float | None = None
    """The job's share of the turns beside others'; None leaves it as it is, which is 1 where nobody said."""

    @property
    def headers(self) -> dict[str, Any]:
        """The turn as a message's headers."""
        return {"job": self.job, "weight": self.weight}

    @classmethod
    def in_headers(cls, headers: Mapping[str, Any]) -> "Turn":
        """Read it out of a message's headers, of which some are others' and say nothing."""
        match headers:
            case {"once": True, "job": str(job), "weight": int() | float() | None as weight}:
                return cls(job, weight)
            case _:
                return NOBODYS


NOBODYS = Turn()


def list_of(queue: str, job: str) -> str:
    """Name the list in which a job's messages wait, by its short name."""
    return f"{queue}{OF_JOB}{job}"


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one Redis. Every time in it is the server's."""

    prefix: str = ""
    """What all keys begin with."""
    lives_seconds: float = 12.0
    """How long a claim lives without a renewal."""
    most: int = 100
    """How many claims that ran out are given back in one call."""

    def key(self, name: str) -> str:
        """Name a key as the server knows it."""
        return f"{self.prefix}{name}"

    def name(self, key: str) -> str:
        """Name a queue as Celery knows it."""
        return key.removeprefix(self.prefix)

    def put(self, queue: str, messages: Iterable[tuple[str, str]], *, turn: Turn = NOBODYS) -> Command:
        """Queue messages, each with its id or nothing: one with an id only if none with that id waits or is claimed."""
        words = (word for pair in messages for word in pair)
        weight = "" if turn.weight is None else turn.weight
        return self._call(scripts.PUT, [queue, queue + BELL, ONCE], turn.job, weight, *words)

    def take(self, queues: Iterable[str]) -> Command:
        """Claim the next message of the first queue that has one; while the breaker is open only when a probe is due."""
        keys = [key for queue in queues for key in (queue, queue + BELL)]
        return self._call(scripts.TAKE, [CLAIMS, ORIGINS, INDEX, COUNTER, BREAKER, LOOKED, *keys], self.lives_seconds, self.most)

    def sweep(self) -> Command:
        """Give back claims that ran out."""
        return self._call(scripts.SWEEP, [CLAIMS, ORIGINS, INDEX, LOOKED], self.lives_seconds, self.most)

    def end(self, tag: str, *, once: str = "") -> Command:
        """End a claim and its message."""
        return self._call(scripts.END, [CLAIMS, ORIGINS, INDEX, ONCE], tag, once)

    def give_back(self, tag: str, *, as_the: Literal["next", "last"]) -> Command:
        """Put a claimed message back, to be taken next or last."""
        return self._call(scripts.GIVE_BACK, [CLAIMS, ORIGINS, INDEX], tag, END_OF_QUEUE[as_the])

    def renew(self, tags: Iterable[str], *, index: str = INDEX) -> Command:
        """Make claims live on from now."""
        return self._call(scripts.RENEW, [index], *tags)

    def census(self, queue: str) -> Command:
        """Name what waits or is claimed."""
        return self._call(CENSUS, [queue, CLAIMS, ONCE])

    def purge(self, queue: str) -> Command:
        """Drop what waits."""
        return self._call(PURGE, [queue])

    def wait(self, queues: Iterable[str], *, others: Iterable[str], seconds: float) -> Command:
        """Sleep on the server until a bell rings, or pop what `others` have: lists that are nobody's to claim."""
        return ("BRPOP", *(self.key(queue + BELL) for queue in queues), *map(self.key, others), seconds)

    def _call(self, script: str, keys: Sequence[str], *values: Any) -> Command:
        return ("EVAL", script, len(keys), *map(self.key, keys), *values)
