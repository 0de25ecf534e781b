"""One cheap look at the broker, for whoever watches a fleet: a handful of counters, no message but those next in line."""

import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from celery import Celery

from broker import QUEUE
from broker.claims import list_of
from broker.messages import short_name
from broker.queues import CELERYS_UNACKED, claims_messages, redis_of
from broker.scripts import BREAKER, CLAIMS, ORIGINS
from broker.trials import Trials
from broker.turns import TURNS

ANSWER_SECONDS = 3.0
"""How long the broker may take: whoever asks is asked himself, by somebody who waits ten seconds."""


@dataclass(frozen=True, slots=True)
class TrialCounts:
    """What is known of a job's shards that were taken up and are not settled."""

    attempts: int = 0
    retried: int = 0
    """Taken up more than once."""
    suspects: int = 0
    """To be run alone; guilty ones are among them."""

    @classmethod
    def of(cls, states: Iterable[bytes]) -> "TrialCounts":
        """Count what the trials' scripts keep."""
        trials = [json.loads(state)["trial"] for state in states]
        return cls(
            attempts=sum(trial["attempts"] for trial in trials),
            retried=sum(trial["attempts"] > 1 for trial in trials),
            suspects=sum(bool(trial["suspect"]) for trial in trials),
        )


@dataclass(frozen=True, slots=True)
class BrokerLook:
    """How the broker was at one moment. Jobs are told by their short names, and their trials by their output prefixes."""

    queued: int
    in_flight: int
    queued_of: Mapping[str, int]
    in_flight_of: Mapping[str, int]
    trials_of: Mapping[str, TrialCounts]
    oldest_seconds: float | None
    """Age of the oldest message next in line; None where nothing waits, or no message says when it was queued."""
    breaker_open: bool
    used_bytes: int
    limit_bytes: int | None
    """None where Redis has no limit."""


def look_at(app: Celery, jobs: Collection[str], *, answers_within_seconds: float = ANSWER_SECONDS) -> BrokerLook:
    """Look once, at these jobs' output prefixes beside the whole.

    Raises:
        BrokerAwayError: the broker does not answer in time.
    """
    with redis_of(app, answers_within_seconds=answers_within_seconds) as redis:
        claims = claims_messages(app)
        trials = [Trials(app, job)._key for job in jobs]  # noqa: SLF001 - the same room
        pipe = redis.pipeline(transaction=False).llen(QUEUE).hlen(CLAIMS if claims else CELERYS_UNACKED).hvals(ORIGINS)
        pipe.zrange(QUEUE + TURNS, 0, -1).exists(BREAKER).info("memory")
        for key in trials:
            pipe.hvals(key)
        queued, in_flight, origins, waiting, is_open, memory, *states = pipe.execute()
        names = [name.decode() for name in waiting]
        queued_of, heads = _lists(redis, [*names, *(name for name in map(short_name, jobs) if name not in names)] if claims else [])
    return BrokerLook(
        queued=queued,
        in_flight=in_flight,
        queued_of=queued_of,
        in_flight_of=Counter(job_of(origin) for origin in origins),
        trials_of={job: TrialCounts.of(found) for job, found in zip(jobs, states, strict=True)},
        oldest_seconds=_oldest(heads),
        breaker_open=bool(is_open),
        used_bytes=int(memory["used_memory"]),
        limit_bytes=int(memory["maxmemory"]) or None,
    )


def _lists(redis: Any, names: list[str]) -> tuple[dict[str, int], list[bytes]]:
    """How much of each job waits, and the message of each that is taken next."""
    pipe = redis.pipeline(transaction=False)
    for name in names:
        pipe.llen(list_of(QUEUE, name)).lindex(list_of(QUEUE, name), -1)
    answers = pipe.execute()
    return dict(zip(names, answers[::2], strict=True)), [head for head in answers[1::2] if head is not None]


def job_of(origin: bytes) -> str:
    """Name the job of a claim by the list that it came from; nothing for a message that is no job's."""
    return origin.decode().rpartition(list_of(QUEUE, ""))[2] if list_of(QUEUE, "").encode() in origin else ""


def _oldest(heads: Iterable[bytes]) -> float | None:
    sent = [at for at in map(sent_at, heads) if at is not None]
    return max(0.0, time.time() - min(sent)) if sent else None


def sent_at(message: bytes) -> float | None:
    """When a message was first queued, in seconds since the epoch; None where it does not say."""
    match json.loads(message):
        case {"headers": {"sent_at": int() | float() as at}}:
            return float(at)
        case _:
            return None
