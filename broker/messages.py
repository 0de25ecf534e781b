"""Shards as the messages that Celery would send, written many at a time: all but a message's own words is made once."""

# mypy: allow-untyped-calls
# kombu says little of its types

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import groupby
from typing import Any

from celery import Celery
from kombu.compression import compress
from kombu.serialization import dumps as serialized
from kombu.utils.json import dumps

from broker import QUEUE, TASK
from broker.claims import Claims, Command, Turn
from schemas.model import content_name
from schemas.task import ShardTask

COMPRESSED_FROM = 2048
"""Bytes of a body that is worth compressing; kombu undoes it wherever the message is read."""
MOST_MESSAGES, MOST_BYTES = 64, 256 * 1024
"""What one call queues at most, so that it holds up nobody else's for long."""
PERSISTENT = 2
LONGEST_NAME = 120
"""Characters of a job's name that are shown; of a longer one the middle is left out."""
CARRIED = ("traceparent", "tracestate")
"""Headers that a message may carry for whoever traces, as W3C names them. No message needs them."""

_carried: ContextVar[Mapping[str, str] | None] = ContextVar("carried", default=None)


@contextmanager
def carrying(headers: Mapping[str, str]) -> Iterator[None]:
    """Have messages that the block writes carry these headers besides their own."""
    token = _carried.set(headers)
    try:
        yield
    finally:
        _carried.reset(token)


def carried_by(request: Any) -> dict[str, str]:
    """What a message of Celery's carries of these headers, if anybody traced its sender."""
    found = {name: request.get(name) for name in CARRIED}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def short_name(job: str) -> str:
    """Name a job as its messages do, by its output prefix."""
    return content_name(job)[:8]


def message_id(job: str, shard_id: str) -> str:
    """Name a message so that Flower and the reconciling producer recognise it: the job's short name and the shard."""
    return f"{short_name(job)}:{shard_id}"


def label(task: ShardTask) -> str:
    """What a monitor such as Flower shows as a message's arguments: the job, and how much of it this is."""
    job = task.job if len(task.job) <= LONGEST_NAME else f"{task.job[:12]}…{task.job[13 - LONGEST_NAME :]}"
    return f"{job}, {len(task.videos)} video{'s' * (len(task.videos) != 1)}"


class Messages:
    """Writes messages for the channels of one application."""

    def __init__(self, app: Celery, channel: Any) -> None:
        """Learn from Celery how a task's body is written."""
        self._headers_of, self._channel = app.amqp.as_task_v2, channel
        body = self._headers_of("", TASK, args=["<the shard>"]).body
        self._type, self._encoding, sample = serialized(body, serializer=app.conf.task_serializer)
        self._before, _, self._after = sample.partition('"<the shard>"')

    def write(self, task: ShardTask, turn: Turn) -> tuple[str, str]:
        """Write a shard as a message; returns its id and its text."""
        name = f"{turn.job}:{task.shard_id}"
        headers, properties, _, _ = self._headers_of(name, TASK, argsrepr=label(task), kwargsrepr="{}", ignore_result=None)
        body = f"{self._before}{task.model_dump_json()}{self._after}".encode()
        headers |= {"once": True, "sent_at": round(time.time(), 3), **turn.headers, **(_carried.get() or {})}
        if len(body) >= COMPRESSED_FROM:
            body, headers["compression"] = compress(body, "zstd")
        properties["delivery_mode"] = PERSISTENT
        message = self._channel.prepare_message(body, 0, self._type, self._encoding, headers, properties)
        self._channel._inplace_augment_message(message, "", QUEUE)  # noqa: SLF001 - what its basic_publish does before it puts
        return name, dumps(message)

    def calls(self, tasks: Iterable[ShardTask], claims: Claims, *, weight: float | None) -> Iterator[Command]:
        """Write shards into as few calls as their sizes allow, each of one job."""
        for job, its_tasks in groupby(tasks, key=lambda task: task.job):
            turn = Turn(short_name(job), weight)
            for batch in _batches(self.write(task, turn) for task in its_tasks):
                yield claims.put(QUEUE, batch, turn=turn)


def _batches(messages: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    batch: list[tuple[str, str]] = []
    size = 0
    for message in messages:
        batch.append(message)
        size += len(message[1])
        if len(batch) == MOST_MESSAGES or size >= MOST_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
