"""The breaker: where most of what the fleet did last failed in one way, the fleet is at fault, and not what it worked on.

    closed ── most of the latest units fail with one class, on more than one worker ──▶ open: no work is handed out but a probe,
      ▲                                                                                   after 15 s, 30 s, 60 s ... 5 min
      └── a shard is mostly fine; the window is emptied, the bell rung ───────────────────────┘

A unit is a video, and a shard counts with its last few. A shard that is judged again takes its own place, so that one bad shard is
never many, and units older than ten minutes do not count. Workers that left are told from new ones by their host: one that is started
again and again is still one. Faults that lie in a video's bytes are no failure here, and no proof of health either.

Doubt is for what may be a fault of one worker, and for a fault that has just begun: where a few units in a row failed, and none was
fine since, nobody knows yet. Whoever is told so tries again, which costs little where a video is to blame and saves it where it is not.

Where nothing but bad videos is left the breaker would never close. So after an hour a shard is believed that failed four times since:
the queue is taken in turn, hence all else that waits has failed as often.

The gate is in `scripts.TAKE`. Celery's own transport has none: there the breaker is judged and shown, but workers go on taking.
All of it is a hint: a Redis that forgets it has a closed breaker, which opens again if it must.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from celery import Celery

from broker import QUEUE
from broker.breaker_scripts import CLOSED, IN_THE_BYTES, JUDGE, RESET, UNTOLD, VITALS, WINDOW, WITNESS
from broker.claims import Claims
from broker.queues import redis_of
from broker.scripts import BELL, BREAKER
from schemas.errors import OperatorError
from schemas.model import Model
from schemas.reasons import FLEETS_FAULTS, Reason

KEYS = (BREAKER, WINDOW, QUEUE, QUEUE + BELL, CLOSED)
SAYS_NOTHING = "?"
"""The class of a unit that tells nothing of anybody: it is left out."""
BYTES_FAULTS = frozenset(reason.value for reason in Reason) - {reason.value for reason in FLEETS_FAULTS}

log = logging.getLogger(__name__)


class Verdict(StrEnum):
    """What the failures of a shard are worth."""

    BELIEVE = "believe"
    """They are the videos' own."""
    DOUBT = "doubt"
    """They may be this worker's, or the beginning of the fleet's: try again, and believe what comes back."""
    ALONE = "alone"
    """Nobody else has anything to say: not a judgement, but what a witness may answer."""
    OPEN = "open"
    """They are the fleet's: the shard goes back, and nobody is charged."""


class BreakerState(Model):
    """Why the breaker is open, and what happens next."""

    opened_at: datetime
    failure: str
    """The class that most units failed with: a reason's value, or an error's name."""
    failing: int
    units: int
    """Units that were looked at when it opened."""
    workers: int
    """On how many workers these units failed."""
    next_probe_in_seconds: float

    def in_words(self) -> str:
        """Say why."""
        return f"{self.failing} of the last {self.units} videos failed with {self.failure} on {self.workers} workers"


class Breaker:
    """The breaker of the workers of one broker; `units` or `least` of 0 switch it off."""

    def __init__(
        self,
        app: Celery,
        *,
        units: int = 20,
        share: float = 0.6,
        least: int = 10,
        probe_seconds: float = 15.0,
        doubtful: int = 3,
    ) -> None:
        """Open where `share` of the last `units`, and these are at least `least`, fail alike; doubt where the last `doubtful` failed."""
        self._app = app
        self._off = units == 0 or least == 0
        self._rules = (units, share, min(least, units), doubtful, probe_seconds)

    def judge(self, worker: str, failures: Sequence[str], *, shard: str = "", age_seconds: float = 0.0) -> Verdict:
        """Say what the failures of a shard's units are worth, and remember them.

        Each unit is "" if it is fine, else its class: a reason's value, an error's name, or SAYS_NOTHING. `worker` is host:pid, `shard`
        what tells the shard from all others, `age_seconds` how long ago it was taken up: failures of one that was begun while the breaker
        was open are the fleet's. What cannot be asked of the broker is doubted.
        """
        try:
            if not self._off:
                classes = [_class_of(failure) for failure in failures if failure != SAYS_NOTHING]
                return self._judge(worker, shard, age_seconds, classes)
            self.reset()  # or a fleet whose breaker was switched off while it was open would wait for ever
        except OperatorError as error:
            log.warning("the breaker was not asked: %s", error)
            return Verdict.DOUBT if any(failures) and not self._off else Verdict.BELIEVE
        return Verdict.BELIEVE

    def witness(self, shard: str, *, age_seconds: float) -> Verdict:
        """Look, for a failing shard that was judged, what became of others since: where one was fine, its failures are its own.

        ALONE means that nothing is known yet, DOUBT that others fail too and none was fine since. A breaker that is off, or a broker that
        is away, has no doubts.
        """
        try:
            return Verdict.BELIEVE if self._off else Verdict(self._eval(WITNESS, shard, age_seconds).decode())
        except OperatorError as error:
            log.warning("the breaker was not asked: %s", error)
            return Verdict.BELIEVE

    def untold(self) -> None:
        """Have another probe at once, where the last one may have been a shard that told nothing."""
        if not self._off:
            with suppress(OperatorError):
                self._eval(UNTOLD)

    def state(self) -> BreakerState | None:
        """Why it is open, or None while it is closed.

        Raises:
            OperatorError: the broker does not answer.
        """
        with redis_of(self._app) as redis:
            found, (seconds, micros) = redis.pipeline(transaction=True).hgetall(BREAKER).time().execute()
        fields = {name.decode(): value.decode() for name, value in found.items()}
        return _state(fields, now=seconds + micros / 1e6) if fields else None

    def reset(self) -> None:
        """Close it and forget what is remembered.

        Raises:
            OperatorError: the broker does not answer.
        """
        self._eval(RESET)

    def _judge(self, worker: str, shard: str, age_seconds: float, failures: Sequence[str]) -> Verdict:
        if not failures:
            return Verdict.BELIEVE
        with redis_of(self._app) as redis:
            vitals = Claims(redis.prefix).key(VITALS)
        return Verdict(self._eval(JUDGE, worker, shard, vitals, *self._rules, age_seconds, *failures).decode())

    def _eval(self, script: str, *values: Any) -> Any:
        with redis_of(self._app) as redis:
            keys = map(Claims(redis.prefix).key, KEYS)
            return redis.execute_command("EVAL", script, len(KEYS), *keys, *values)


class BreakerWatch:
    """Tells a worker's log when the breaker opens and when it closes."""

    def __init__(self, breaker: Breaker) -> None:
        """Watch from a closed breaker on."""
        self._breaker = breaker
        self._seen: BreakerState | None = None

    def look(self) -> None:
        """Look once, and tell what is new; a broker that does not answer tells nothing."""
        with suppress(OperatorError):
            seen, self._seen = self._seen, self._breaker.state()
            if self._seen and not seen:
                _tell_opened(self._seen)
            elif seen and not self._seen:
                log.warning("the breaker is closed again: work goes on")


def _tell_opened(state: BreakerState) -> None:
    what = "this worker takes nothing but a probe"
    log.warning("the breaker is open: %s; %s, the next in %.0f s", state.in_words(), what, state.next_probe_in_seconds)


def _class_of(failure: str) -> str:
    return IN_THE_BYTES if failure in BYTES_FAULTS else failure


def _state(fields: dict[str, str], *, now: float) -> BreakerState:
    return BreakerState(
        opened_at=datetime.fromtimestamp(float(fields["opened_at"]), UTC),
        failure=fields["failure"],
        failing=int(fields["failing"]),
        units=int(fields["units"]),
        workers=int(fields["workers"]),
        next_probe_in_seconds=max(0.0, float(fields["probe_at"]) - now),
    )
