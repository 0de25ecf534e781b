"""Counters that make progress visible while a job runs. They are a hint: what is done stands in storage."""

import operator
from dataclasses import asdict, dataclass, fields

from celery import Celery

from broker.queues import redis_of
from schemas.model import content_name
from schemas.redaction import Redactor

KEPT_SECONDS = 7 * 24 * 3600
FAULTS_KEPT = 20
HIDE_SECRETS = Redactor()


@dataclass(frozen=True, slots=True)
class Tally:
    """What was done since the broker started."""

    frames: int = 0
    videos: int = 0
    dead: int = 0
    """Dead letters written, for videos and for frames."""
    shards: int = 0
    bytes_read: int = 0
    """Bytes that storage sent of the videos."""
    requests: int = 0
    """GETs that this took."""
    object_bytes: int = 0
    """How large the videos are."""

    def plus(self, other: "Tally") -> "Tally":
        """Add two counts."""
        return Tally(*map(operator.add, _counts(self), _counts(other)))


_counts = operator.attrgetter(*(field.name for field in fields(Tally)))
"""All counts of a tally; `dataclasses.astuple` would copy each one deeply, at every frame."""


class Progress:
    """Counters of one job, shared by its workers through the broker."""

    def __init__(self, app: Celery, job: str) -> None:
        """Count for the job at this output prefix."""
        self._app = app
        self._key = f"framefleet:{content_name(job)[:16]}"

    def add(self, tally: Tally) -> None:
        """Count what was just done."""
        with redis_of(self._app) as redis:
            pipe = redis.pipeline()
            for field, count in asdict(tally).items():
                if count:
                    pipe.hincrby(f"{self._key}:tally", field, count)
            pipe.expire(f"{self._key}:tally", KEPT_SECONDS).execute()

    def tally(self) -> Tally:
        """Read the counters."""
        with redis_of(self._app) as redis:
            counts = {key.decode(): int(value) for key, value in redis.hgetall(f"{self._key}:tally").items()}
        return Tally(**counts)


def report_fault(app: Celery, message: str) -> None:
    """Say why a worker left or put a shard back, for the operator who asks."""
    with redis_of(app) as redis:
        redis.pipeline().lpush("framefleet:faults", HIDE_SECRETS(message)).ltrim("framefleet:faults", 0, FAULTS_KEPT - 1).expire(
            "framefleet:faults", KEPT_SECONDS
        ).execute()


def faults(app: Celery) -> list[str]:
    """Why workers left or put shards back, the latest first."""
    with redis_of(app) as redis:
        return [item.decode() for item in redis.lrange("framefleet:faults", 0, -1)]
