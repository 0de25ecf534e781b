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
from schemas.errors import OperatorError
from schemas.model import content_name
from schemas.task import ShardTask

UNACKED, UNACKED_INDEX = "unacked", "unacked_index"


def message_id(job: str, shard_id: str) -> str:
    """Name a message so that Flower and the reconciling producer recognise it: the job's short name and the shard."""
    return f"{content_name(job)[:8]}:{shard_id}"


@contextmanager
def redis_of(app: Celery) -> Iterator[Any]:
    """Lend the transport's own Redis client, with its TLS, ACL, Sentinel and key prefix as configured.

    Raises:
        OperatorError: the broker does not answer.
    """
    try:
        yield _client(app)
    except (OperationalError, RedisError, OSError) as error:
        raise OperatorError(f"The broker does not answer ({error}); check --broker or FRAMEFLEET_BROKER_URL.") from error


@cache
def _client(app: Celery) -> Any:
    return app.connection_for_write().default_channel.client  # redis-py's client, with its own thread-safe pool


class ShardQueue:
    """The queue of shards."""

    def __init__(self, app: Celery) -> None:
        """Use the queue of this application."""
        self._app = app

    def send(self, task: ShardTask) -> None:
        """Enqueue a shard.

        Raises:
            OperatorError: the broker does not take it.
        """
        try:
            self._app.send_task(TASK, args=[task.model_dump(mode="json")], task_id=message_id(task.job, task.shard_id), queue=QUEUE)
        except (OperationalError, RedisError, OSError) as error:
            raise OperatorError(f"The broker does not take messages ({error}); check --broker or FRAMEFLEET_BROKER_URL.") from error

    def depth(self) -> int:
        """Count the shards that wait."""
        with redis_of(self._app) as redis:
            return int(redis.llen(QUEUE))

    def in_flight(self) -> frozenset[str]:
        """Name the messages that wait or are being worked on, as of one moment."""
        with redis_of(self._app) as redis:
            waiting, claimed = redis.pipeline(transaction=True).lrange(QUEUE, 0, -1).hvals(UNACKED).execute()
        messages = [json.loads(item) for item in waiting] + [json.loads(item)[0] for item in claimed]
        return frozenset(str(message["headers"]["id"]) for message in messages)
