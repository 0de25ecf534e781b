"""What a claim promises, message by message."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from builders import HandmadeJob
from celery import Celery

from broker import QUEUE
from broker.app import VISIBILITY_TIMEOUT_SECONDS
from broker.claims import Claims, list_of
from broker.messages import short_name
from broker.queues import ShardQueue, redis_of
from broker.scripts import CLAIMS, INDEX, ONCE, ORIGINS

LONG_AGO = 1000.0


@pytest.fixture
def queue(app: Celery) -> ShardQueue:
    return ShardQueue(app)


@pytest.fixture
def shards() -> list[Any]:
    handmade = HandmadeJob()
    return [handmade.shard(f"{number}.mp4") for number in range(3)]


@contextmanager
def worker(app: Celery) -> Iterator[Any]:
    """A channel of its own, as each worker has."""
    with app.connection_for_read() as connection, connection.channel() as channel:
        yield channel


def run_out(app: Celery, tag: str) -> None:
    """What happens to a claim that nobody renews."""
    with redis_of(app) as redis:
        redis.zadd(INDEX, {tag: LONG_AGO})


def state(app: Celery) -> tuple[int, int, int, int]:
    with redis_of(app) as redis:
        return redis.llen(QUEUE), redis.hlen(CLAIMS), redis.hlen(ORIGINS), redis.zcard(INDEX)


def test_a_claim_stands_on_the_servers_clock(app: Celery, queue: ShardQueue, shards, claim) -> None:
    queue.send(shards[0])
    with redis_of(app) as redis:
        before, _ = redis.time()
    with claim() as message, redis_of(app) as redis:
        assert before <= redis.zscore(INDEX, message.delivery_tag) <= redis.time()[0] + 1
        message.ack()


def test_every_claim_has_a_tag_that_no_other_had(app: Celery, queue: ShardQueue, shards) -> None:
    queue.send(shards[0])
    tags = []
    with worker(app) as channel:
        for _ in range(5):
            message = channel.basic_get(QUEUE)
            tags.append(message.delivery_tag)
            message.requeue()
    assert len(set(tags)) == 5
    assert sorted(tags) == tags


def test_a_number_that_is_counted_again_makes_another_tag(app: Celery, queue: ShardQueue, shards) -> None:
    queue.send(shards[0])
    queue.send(shards[1])
    with worker(app) as channel, redis_of(app) as redis:
        one = channel.basic_get(QUEUE)
        redis.delete("claims:counter")  # as a server that lost its last second does
        other = channel.basic_get(QUEUE)
        assert one.delivery_tag.split(":")[1] == other.delivery_tag.split(":")[1]
        assert one.delivery_tag != other.delivery_tag


def test_a_claim_that_ran_out_is_given_to_the_next_who_asks_and_marked(app: Celery, queue: ShardQueue, shards) -> None:
    queue.send(shards[0])
    queue.send(shards[1])
    with worker(app) as dead, worker(app) as alive:
        lost = dead.basic_get(QUEUE)
        run_out(app, lost.delivery_tag)
        found = alive.basic_get(QUEUE)
        assert found.headers["id"] == lost.headers["id"]
        assert found.body == lost.body
        assert (lost.headers.get("redelivered"), found.headers["redelivered"], found.delivery_info["redelivered"]) == (None, True, True)
        run_out(app, found.delivery_tag)
        again = alive.basic_get(QUEUE)
        assert (again.headers["id"], again.headers["redelivered"]) == (lost.headers["id"], True)


def test_a_claim_whose_taker_dies_before_it_hears_of_it_is_not_lost(app: Celery, queue: ShardQueue, shards) -> None:
    queue.send(shards[0])
    with redis_of(app) as redis:
        connection = redis.connection_pool.get_connection()
        connection.send_command(*Claims().take([QUEUE]))
        connection.disconnect()
        redis.connection_pool.release(connection)
        while queue.depth():
            pass
        assert state(app) == (0, 1, 1, 1)
        [tag] = redis.zrange(INDEX, 0, -1)
        run_out(app, tag.decode())
    with worker(app) as alive:
        alive.basic_get(QUEUE).ack()
    assert (state(app), queue.in_flight()) == ((0, 0, 0, 0), frozenset())


def test_a_zombies_ack_does_not_end_its_successors_claim(app: Celery, queue: ShardQueue, shards, caplog: pytest.LogCaptureFixture) -> None:
    queue.send(shards[0])
    with worker(app) as zombie, worker(app) as successor:
        old = zombie.basic_get(QUEUE)
        run_out(app, old.delivery_tag)
        new = successor.basic_get(QUEUE)
        old.ack()
        assert "had run out" in caplog.text
        assert state(app) == (0, 1, 1, 1)
        assert queue.in_flight()
        new.ack()
    assert state(app) == (0, 0, 0, 0)
    assert not queue.in_flight()


def test_a_zombie_gives_nothing_back_and_drops_nothing(app: Celery, queue: ShardQueue, shards) -> None:
    queue.send(shards[0])
    with worker(app) as successor:
        with worker(app) as zombie:
            olds = []
            for _ in range(3):
                olds.append(zombie.basic_get(QUEUE))
                run_out(app, olds[-1].delivery_tag)
            new = successor.basic_get(QUEUE)
            olds[0].requeue()
            olds[1].reject()
        assert state(app) == (0, 1, 1, 1)  # closing the zombie's channel, with one claim unanswered, did nothing either
        new.ack()
    assert state(app) == (0, 0, 0, 0)


def test_a_zombies_renewal_fails_and_leaves_its_successor_alone(app: Celery, queue: ShardQueue, shards) -> None:
    queue.send(shards[0])
    with worker(app) as zombie, worker(app) as successor, redis_of(app) as redis:
        old = zombie.basic_get(QUEUE).delivery_tag
        run_out(app, old)
        new = successor.basic_get(QUEUE).delivery_tag
        run_out(app, new)
        assert redis.execute_command(*Claims().renew([old])) == [old.encode()]
        assert (redis.zscore(INDEX, old), redis.zscore(INDEX, new)) == (None, LONG_AGO)
        assert redis.execute_command(*Claims().renew([old, new])) == [old.encode()]
        assert redis.zscore(INDEX, new) > redis.time()[0] - VISIBILITY_TIMEOUT_SECONDS


def test_a_message_is_put_back_once_and_behind_the_others(app: Celery, queue: ShardQueue, shards) -> None:
    for shard in shards:
        queue.send(shard)
    with worker(app) as channel:
        first = channel.basic_get(QUEUE)
        channel.basic_reject(first.delivery_tag, requeue=True)
        channel.basic_reject(first.delivery_tag, requeue=True)
        assert state(app) == (3, 0, 0, 0)
        order = [channel.basic_get(QUEUE).headers["id"] for _ in shards]
        assert order[-1] == first.headers["id"]
        assert len(set(order)) == 3


def test_a_channel_that_closes_gives_back_what_is_next(queue: ShardQueue, shards, claim) -> None:
    for shard in shards:
        queue.send(shard)
    with claim() as message:
        first = message.headers["id"]
    with claim() as message:
        assert (message.headers["id"], message.headers["redelivered"]) == (first, True)


def test_a_claim_whose_connection_is_lost_stays_with_who_works_on_it(app: Celery, queue: ShardQueue, shards) -> None:
    queue.send(shards[0])
    connection = app.connection_for_read()
    message = connection.default_channel.basic_get(QUEUE)
    connection.collect()
    assert state(app) == (0, 1, 1, 1)
    message.ack()
    assert state(app) == (0, 0, 0, 0)


@pytest.mark.parametrize("junk", ["", "junk", "[]", "1", "{}", '{"properties": {}, "redelivered": true}'])
def test_what_is_no_message_is_dropped_and_does_not_come_back(
    app: Celery, queue: ShardQueue, shards, junk: str, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_of(app) as redis:
        redis.lpush(QUEUE, junk)
    queue.send(shards[0])
    with worker(app) as channel:
        assert channel.basic_get(QUEUE) is None
        assert "no message" in caplog.text
        channel.basic_get(QUEUE).ack()
    assert state(app) == (0, 0, 0, 0)


def test_what_ran_out_comes_back_in_batches(app: Celery, queue: ShardQueue, shards) -> None:
    for shard in shards:
        queue.send(shard)
    with worker(app) as channel, redis_of(app) as redis:
        for tag in [channel.basic_get(QUEUE).delivery_tag for _ in shards]:
            run_out(app, tag)
        swept = [redis.execute_command(*Claims(most=2).sweep()) for _ in range(3)]
        assert swept == [2, 1, 0]
        assert state(app) == (3, 0, 0, 0)


def test_a_shard_that_waits_or_is_worked_on_is_not_queued_again(queue: ShardQueue, shards, claim) -> None:
    for _ in range(3):
        queue.send(shards[0])
    assert queue.depth() == 1
    with claim() as message:
        queue.send(shards[0])
        assert queue.depth() == 0
        message.requeue()
        queue.send(shards[0])
        assert queue.depth() == 1
    with claim() as message:
        message.ack()
    queue.send(shards[0])
    assert queue.depth() == 1


def purge(app: Celery, _: str) -> None:
    assert app.control.purge() == 1


def delete(app: Celery, list_of_job: str) -> None:
    with redis_of(app) as redis:
        redis.delete(list_of_job)


@pytest.mark.parametrize("empty", [purge, delete])
def test_a_queue_that_somebody_emptied_can_be_filled_again(
    app: Celery, queue: ShardQueue, shards, empty: Callable[[Celery, str], None]
) -> None:
    queue.send(shards[0])
    empty(app, list_of(QUEUE, short_name(shards[0].job)))
    assert queue.in_flight() == frozenset()
    queue.send(shards[0])
    with worker(app) as channel:
        channel.basic_get(QUEUE).ack()
        assert channel.basic_get(QUEUE) is None
    with redis_of(app) as redis:
        assert (queue.depth(), redis.scard(ONCE)) == (0, 0)


def test_a_full_server_queues_no_more_but_can_be_drained(app: Celery, queue: ShardQueue, shards, claim) -> None:
    queue.send(shards[0])
    with redis_of(app) as redis:
        try:
            redis.config_set("maxmemory", "1")
            with pytest.raises(Exception, match="maxmemory"):
                queue.send(shards[1])
            with claim() as message:
                assert state(app) == (0, 1, 1, 1)
                message.ack()
        finally:
            redis.config_set("maxmemory", "0")
    assert state(app) == (0, 0, 0, 0)
    queue.send(shards[1])
    assert queue.depth() == 1
