"""A word on a message that the broker never hears."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from builders import HandmadeJob
from redis.exceptions import ConnectionError as AwayError

from broker import QUEUE
from broker.app import App, make_app
from broker.embedded import embedded_redis
from broker.queues import ShardQueue, redis_of
from broker.scripts import INDEX

log = logging.getLogger(__name__)


def ack(message: Any) -> None:
    message.ack_log_error(log, (AwayError,))  # as Celery does


def reject(message: Any) -> None:
    message.reject_log_error(log, (AwayError,), requeue=True)


@pytest.fixture
def brief_app() -> Iterator[tuple[App, Callable[[], None]]]:
    """An application, and what ends its broker."""
    with embedded_redis() as url:
        app = make_app(url)

        def end() -> None:
            with redis_of(app) as redis:
                redis.shutdown(nosave=True)

        yield app, end
        app.close()


@pytest.mark.parametrize("word", [ack, reject])
def test_a_word_that_is_lost_with_the_connection_leaves_room_for_the_next_message(
    brief_app: tuple[App, Callable[[], None]], word: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    app, end = brief_app
    ShardQueue(app).send(HandmadeJob().shard("a.mp4"))
    with app.connection_for_read() as connection, connection.channel() as channel:
        channel.basic_qos(0, 1, False)
        message = channel.basic_get(QUEUE)
        assert not channel.qos.can_consume()
        with redis_of(app) as redis:
            assert redis.zcard(INDEX) == 1
        end()
        word(message)
        assert channel.qos.can_consume()
    assert "Couldn't" in caplog.text
