"""What is known of the attempts at a shard, so that a shard that ends its workers is found, and an innocent one is not charged.

A worker `begin`s before it touches a byte, so that an attempt counts whatever becomes of it, and `mark`s each video and stage.
An attempt ends in one of these ways:
    settled     the shard is committed: all of this is forgotten
    refund      the worker was drained, or the job paused or cancelled: the attempt is taken back
    put_back    the queue has the shard again, for no fault of its own that is known: the attempt counts
    crashed     who watches the worker saw it die: a shard that was alone in it is charged, of several each is only suspected
    no word     the next to begin finds the attempt open and its claim gone: the claim ran out, which alone condemns nobody
A shard is a suspect, to be run alone and one video at a time, after any crash or two claims that ran out. It is guilty, to be split
or to end as a dead letter, after three crashes that it is charged with, or when claims of five workers ran out at the same video.
Every word is fenced by the claim's tag: what comes late, from a worker that lost its claim, changes nothing. No clock is read.
All of this is a hint: a Redis that forgets it gives a shard a few attempts more, and loses none.
"""

import json
from typing import Any

from celery import Celery
from pydantic import Field

from broker.claims import Claims
from broker.lease import index_of_claims
from broker.queues import redis_of
from broker.trial_scripts import BEGIN, CLOSE, CRASHED, MARK
from schemas.model import Model, content_name
from schemas.reasons import Stage


class Trial(Model):
    """What is known of a shard when an attempt begins, this attempt counted."""

    attempts: int = Field(ge=0)
    """Those that were taken back left out."""
    crashes: int = Field(default=0, ge=0)
    """Crashes that were seen while the shard was alone in its worker."""
    expiries: int = Field(default=0, ge=0)
    """Claims that ran out without a word."""
    suspect: bool = False
    """Whether it must run alone in its worker, one video after the other."""
    guilty: bool = False
    """Whether it is to be split; a single video's letter is due."""
    how: str = ""
    """How the last crash looked, such as SIGSEGV, or how many claims ran out."""
    place: int | None = None
    """At which of its videos that was, where it is known."""
    stage: Stage | None = None
    """At which stage."""


class Trials:
    """The trials of one job's shards, shared by its workers and those who watch them.

    All of it raises OperatorError where the broker does not answer.
    """

    def __init__(self, app: Celery, job: str) -> None:
        """Keep them for the job at this output prefix."""
        self._app = app
        self._key = f"framefleet:{content_name(job)[:16]}:trials"
        self._index = index_of_claims(app)

    def begin(self, shard_id: str, *, tag: str, worker: str) -> Trial:
        """Count an attempt before the shard's bytes are touched, and open it for this claim; an attempt that is still open ran out."""
        return Trial.model_validate_json(self._call(BEGIN, shard_id, tag, worker))

    def mark(self, shard_id: str, *, tag: str, place: int, stage: Stage) -> bool:
        """Say which video is in flight, and at which stage; False, here as below, if this claim's attempt is not open."""
        return bool(self._call(MARK, shard_id, tag, place, stage.value))

    def refund(self, shard_id: str, *, tag: str) -> bool:
        """Take the attempt back: it was ended from outside."""
        return bool(self._call(CLOSE, shard_id, tag, 1))

    def put_back(self, shard_id: str, *, tag: str) -> bool:
        """End the attempt, which counts, without a crash."""
        return bool(self._call(CLOSE, shard_id, tag, 0))

    def crashed(self, shard_id: str, *, tag: str, how: str, alone: bool, place: int | None = None, stage: Stage | None = None) -> bool:
        """End the attempt, which ended its worker; where it was at is what was marked, unless it is told here."""
        where = ("" if place is None else place, "" if stage is None else stage.value)
        return bool(self._call(CRASHED, shard_id, tag, how, int(alone), *where))

    def settled(self, shard_id: str) -> None:
        """Forget a shard that is committed."""
        with redis_of(self._app) as redis:
            redis.hdel(self._key, shard_id)

    def attempts(self) -> dict[str, int]:
        """How often each shard that is not settled was taken up."""
        with redis_of(self._app) as redis:
            counts = {key.decode(): json.loads(state)["trial"]["attempts"] for key, state in redis.hgetall(self._key).items()}
        return {shard_id: count for shard_id, count in counts.items() if count}

    def _call(self, script: str, *values: str | int) -> Any:
        with redis_of(self._app) as redis:
            known = Claims(redis.prefix)
            return redis.execute_command("EVAL", script, 2, known.key(self._key), known.key(self._index), *values)
