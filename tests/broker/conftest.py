"""A private Redis that the broker's tests share; every test finds it empty."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery

from broker import QUEUE
from broker.app import make_app
from broker.embedded import embedded_redis
from broker.queues import redis_of


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with embedded_redis() as url:
        yield url


@pytest.fixture
def app(redis_url: str) -> Iterator[Celery]:
    app = make_app(redis_url)
    with redis_of(app) as redis:
        redis.flushall()
    yield app
    app.close()


@pytest.fixture
def dead_app() -> Iterator[Celery]:
    """An application whose broker went down while it was in use."""
    with embedded_redis() as url:
        app = make_app(url)
        with redis_of(app) as redis:
            redis.ping()
    yield app
    app.close()


@pytest.fixture
def claim(app: Celery):
    """Take a message as a worker does, and hold it unacknowledged for the block."""

    @contextmanager
    def claimed() -> Iterator[Any]:
        with app.connection_for_read() as connection, connection.channel() as channel:
            message = channel.basic_get(QUEUE)
            assert message is not None, "no shard waits"
            yield message

    return claimed
