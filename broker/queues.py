"""The door between the planes: shards go in here and come out in a worker."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import islice
from typing import Any, cast
from uuid import uuid4

from celery import Celery
from kombu.exceptions import OperationalError
from kombu.utils.functional import retry_over_time
from redis.exceptions import ConnectionError as NoConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as NoAnswerError

from broker import QUEUE, TASK
from broker.claims import Claims, Command, list_of
from broker.messages import Messages, label, message_id, short_name
from broker.prefixed import PrefixedRedis
from broker.turns import EPOCH, TURNS
from schemas.errors import BrokerAwayError
from schemas.task import ShardTask

__all__ = ["BrokerFullError", "ShardQueue", "claims_messages", "message_id", "redis_of"]
CELERYS_UNACKED = "unacked"
WHAT_TO_DO = "check --broker or FRAMEFLEET_BROKER_URL. Nothing is lost: what is planned and what is done stand in storage."
CALLS_PER_TRIP = 16
"""Calls that travel together, so that the way there and back costs little; a few MiB at most."""
DOOR = "framefleet_door"
"""Where an application has its connections."""
UNHEARD = (NoConnectionError, NoAnswerError, OSError)


class BrokerFullError(BrokerAwayError):
    """The broker has no memory left: it takes messages again once workers have taken some."""

    def __init__(self, message: str, *, sent: int) -> None:
        """Say how many messages went in; to send all of them again does no harm."""
        super().__init__(message)
        self.sent = sent


@contextmanager
def redis_of(app: Celery, *, answers_within_seconds: float | None = None) -> Iterator[Any]:
    """Lend a Redis client on the transport's connections, with its TLS, ACL, Sentinel and key prefix as configured.

    Whoever cannot wait as long as the transport does has connections of their own.

    Raises:
        BrokerAwayError: the broker does not answer.
    """
    try:
        yield _door(app).client(answers_within_seconds)
    except (OperationalError, RedisError, OSError) as error:
        raise BrokerAwayError(f"The broker does not answer ({error}); {WHAT_TO_DO}") from error


class _Door:
    """An application's connections to its broker, which end with it: a cache by its name would keep it, and them, for ever."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._channels = dict[float | None, Any]()
        self._clients = dict[float | None, PrefixedRedis]()

    def client(self, seconds: float | None) -> PrefixedRedis:
        if seconds not in self._clients:
            channel = self._channel(seconds)
            self._clients[seconds] = PrefixedRedis(channel.pool, channel.global_keyprefix)  # redis-py's pool is safe for threads
        return self._clients[seconds]

    @cached_property
    def messages(self) -> Messages:
        return Messages(self._app, self._channel(None))

    def _channel(self, seconds: float | None) -> Any:
        at_once = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
        hurry = {"socket_timeout": seconds, "socket_connect_timeout": seconds, **at_once} if seconds else {}
        if seconds not in self._channels:
            self._channels[seconds] = self._app.connection_for_write(transport_options=hurry).default_channel
        return self._channels[seconds]


def _door(app: Celery) -> _Door:
    return cast("_Door", vars(app).setdefault(DOOR, _Door(app)))


def claims_messages(app: Celery) -> bool:
    """Whether this application takes messages by claims, or as Celery's own transport does."""
    return QUEUE in app.conf.broker_transport_options.get("claimed_queues", ())


class ShardQueue:
    """The queue of shards, of all jobs.

    An autoscaler finds what waits in LLEN of the key `framefleet` and what is in work in HLEN of `claims`; their sum is SCARD of
    `claims:once`, so that one key is enough where busy workers must be counted too. All are behind the key prefix, if there is one.
    """

    def __init__(self, app: Celery) -> None:
        """Use the queue of this application."""
        self._app = app
        self._claims = claims_messages(app)

    def send(self, task: ShardTask) -> None:
        """Enqueue a shard; one that waits or is being worked on is left as it is, unless Celery's own transport is used.

        Raises:
            BrokerAwayError: the broker does not take it.
        """
        self.send_all([task])

    def send_all(self, tasks: Sequence[ShardTask], *, weight: float | None = None) -> int:
        """Enqueue shards, many at a time; returns how many neither waited nor were being worked on.

        `weight` is their jobs' share of the workers beside other jobs; None leaves it as it is, which is 1 where nobody said. What
        a broken connection left unanswered is sent again, and then not counted. Celery's own transport knows no weights, and
        queues again what it has.

        Raises:
            BrokerFullError: the broker's memory is full; it says how many went in.
            BrokerAwayError: the broker does not take them, or not all of them.
        """
        if weight is not None and not (math.isfinite(weight) and weight > 0):
            raise ValueError(f"A job's weight is a number above 0, and not {weight}.")
        try:
            return self._put(tasks, weight) if self._claims else self._publish(tasks)
        except (OperationalError, RedisError, OSError) as error:
            raise BrokerAwayError(f"The broker does not take messages ({error}); {WHAT_TO_DO}") from error

    def depth(self, job: str | None = None) -> int:
        """Count the shards that wait, of all jobs or of the one at this output prefix; Celery's own transport tells no jobs apart."""
        key = list_of(QUEUE, short_name(job)) if job is not None and self._claims else QUEUE
        with redis_of(self._app) as redis:
            return int(redis.llen(key))

    def jobs(self) -> int:
        """Count the jobs of which shards wait; Celery's own transport tells no jobs apart."""
        if not self._claims:
            return min(1, self.depth())
        with redis_of(self._app) as redis:
            pipe = redis.pipeline(transaction=False)
            for job in redis.zrange(QUEUE + TURNS, 0, -1):
                pipe.llen(list_of(QUEUE, job.decode()))
            return sum(count > 0 for count in pipe.execute())

    def epoch(self, job: str) -> str:
        """Name what the broker remembers of a job now: under another name, something that was sent may be forgotten."""
        del job  # whatever makes the broker forget makes it forget all jobs
        with redis_of(self._app) as redis:
            name = redis.get(QUEUE + EPOCH)
            if name is None:
                redis.set(QUEUE + EPOCH, uuid4().hex, nx=True)
                name = redis.get(QUEUE + EPOCH)
            return f"{redis.info('server')['run_id']}:{(name or b'').decode()}"

    def in_flight(self, job: str | None = None) -> frozenset[str]:
        """Name the messages that wait or are being worked on, as of one moment, of all jobs or of one."""
        with redis_of(self._app) as redis:
            names = frozenset(self._census(redis))
        its = "" if job is None else message_id(job, "")
        return frozenset(name for name in names if name.startswith(its))

    def used_bytes(self) -> int:
        """Tell how much memory the broker uses."""
        return int(self._memory()["used_memory"])

    def limit_bytes(self) -> int | None:
        """Tell how much memory the broker may use; None where nobody set a limit."""
        return int(self._memory()["maxmemory"]) or None

    def _memory(self) -> Any:
        with redis_of(self._app) as redis:
            return redis.info("memory")

    def _census(self, redis: Any) -> Iterator[str]:
        if self._claims:
            yield from (name.decode() for name in redis.execute_command(*Claims(redis.prefix).census(QUEUE)))
            return
        waiting, claimed = redis.pipeline(transaction=True).lrange(QUEUE, 0, -1).hvals(CELERYS_UNACKED).execute()
        for message in (*map(json.loads, waiting), *(json.loads(item)[0] for item in claimed)):
            yield str(message["headers"]["id"])

    def _publish(self, tasks: Sequence[ShardTask]) -> int:
        with self._app.producer_or_acquire() as producer:
            for task in tasks:
                named = {"task_id": message_id(task.job, task.shard_id), "headers": {"once": True}, "argsrepr": label(task)}
                self._app.send_task(TASK, args=[task.model_dump(mode="json")], queue=QUEUE, producer=producer, **named)
        return len(tasks)

    def _put(self, tasks: Sequence[ShardTask], weight: float | None) -> int:
        redis, sent = _door(self._app).client(None), 0
        calls = _door(self._app).messages.calls(tasks, Claims(redis.prefix), weight=weight)
        while trip := list(islice(calls, CALLS_PER_TRIP)):
            answers = retry_over_time(  # type: ignore[no-untyped-call]
                partial(_travel, redis, trip), UNHEARD, **self._app.conf.task_publish_retry_policy
            )
            sent += sum(answer for answer in answers if isinstance(answer, int))
            for error in answers:
                if isinstance(error, ResponseError):
                    raise self._full(sent, len(tasks)) if "OOM" in str(error) else error
        return sent

    def _full(self, sent: int, asked: int) -> BrokerFullError:
        memory = self._memory()
        why = f"The broker's memory is full ({memory['used_memory']:,} of {memory['maxmemory']:,} bytes)"
        todo = "The rest can be sent once workers have taken some; or raise Redis's maxmemory, or enqueue fewer at a time."
        return BrokerFullError(f"{why}: {sent} of {asked} messages went in, and nothing is lost. {todo}", sent=sent)


def _travel(redis: Any, calls: Iterable[Command]) -> list[Any]:
    pipe = redis.pipeline(transaction=False)
    for call in calls:
        pipe.execute_command(*call)
    return list(pipe.execute(raise_on_error=False))
