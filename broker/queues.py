"""The door between the planes: shards go in here and come out in a worker."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from broker import QUEUE, TASK
from broker.prefixed import PrefixedRedis
from broker.scripts import CLAIMS, ONCE
from schemas.errors import BrokerAwayError
from schemas.model import content_name
from schemas.task import ShardTask

CELERYS_UNACKED = "unacked"
WHAT_TO_DO = "check --broker or FRAMEFLEET_BROKER_URL. Nothing is lost: what is planned and what is done stand in storage."


def message_id(job: str, shard_id: str) -> str:
    """Name a message so that Flower and the reconciling producer recognise it: the job's short name and the shard."""
    return f"{content_name(job)[:8]}:{shard_id}"


@contextmanager
def redis_of(app: Celery) -> Iterator[Any]:
    """Lend a Redis client on the transport's connections, with its TLS, ACL, Sentinel and key prefix as configured.

    Raises:
        BrokerAwayError: the broker does not answer.
    """
    try:
        yield _client(app)
    except (OperationalError, RedisError, OSError) as error:
        raise BrokerAwayError(f"The broker does not answer ({error}); {WHAT_TO_DO}") from error


@cache
def _client(app: Celery) -> Any:
    channel = app.connection_for_write().default_channel
    return PrefixedRedis(channel.pool, channel.global_keyprefix)  # redis-py's pool is safe for threads


def claims_messages(app: Celery) -> bool:
    """Whether this application takes messages by claims, or as Celery's own transport does."""
    return QUEUE in app.conf.broker_transport_options.get("claimed_queues", ())


class ShardQueue:
    """The queue of shards."""

    def __init__(self, app: Celery) -> None:
        """Use the queue of this application."""
        self._app = app
        self._claims = claims_messages(app)

    def send(self, task: ShardTask) -> None:
        """Enqueue a shard; one that waits or is being worked on is left as it is, unless Celery's own transport is used.

        Raises:
            BrokerAwayError: the broker does not take it.
        """
        named = {"task_id": message_id(task.job, task.shard_id), "headers": {"once": True}}
        try:
            self._app.send_task(TASK, args=[task.model_dump(mode="json")], queue=QUEUE, **named)
        except (OperationalError, RedisError, OSError) as error:
            raise BrokerAwayError(f"The broker does not take messages ({error}); {WHAT_TO_DO}") from error

    def depth(self) -> int:
        """Count the shards that wait."""
        with redis_of(self._app) as redis:
            return int(redis.llen(QUEUE))

    def in_flight(self) -> frozenset[str]:
        """Name the messages that wait or are being worked on, as of one moment."""
        taken = CLAIMS if self._claims else CELERYS_UNACKED
        with redis_of(self._app) as redis:
            waiting, claimed, known = redis.pipeline(transaction=True).lrange(QUEUE, 0, -1).hvals(taken).smembers(ONCE).execute()
            messages = [json.loads(item) for item in waiting] + [self._message(item) for item in claimed]
            there = frozenset(str(message["headers"]["id"]) for message in messages)
            gone = [name for name in known if name.decode() not in there]
            if gone:  # somebody emptied the queue by hand, or took from it with another transport
                redis.srem(ONCE, *gone)
        return there

    def _message(self, claimed: bytes) -> Any:
        return json.loads(claimed) if self._claims else json.loads(claimed)[0]
