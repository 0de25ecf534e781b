"""Many shards at a time: the same messages, in fewer words, and what becomes of them when the broker is full."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from tiny_crew import eventually, lasting_redis

from broker import QUEUE, TASK
from broker.app import make_app
from broker.claims import list_of
from broker.messages import COMPRESSED_FROM, MOST_MESSAGES, message_id, short_name
from broker.queues import CALLS_PER_TRIP, BrokerFullError, ShardQueue, redis_of
from broker.scripts import CLAIMS, ONCE
from schemas.task import ShardTask
from schemas.video import VideoRef

JOB, OTHER = "s3://out/job", "s3://out/other"


def shard(number: int, *, videos: int = 1, job: str = JOB) -> ShardTask:
    name = hashlib.md5(f"{job} {number}".encode(), usedforsecurity=False).hexdigest()
    refs = tuple(VideoRef(uri=f"s3://in/{name}/clip-{place:05d}.mp4", etag=f"{name[place % 9 :]}", size_bytes=1) for place in range(videos))
    return ShardTask(job=job, shard_id=name, recipe_id="0" * 32, videos=refs)


def shards(count: int, **of: Any) -> list[ShardTask]:
    return [shard(number, **of) for number in range(count)]


@pytest.fixture
def queue(app: Celery) -> ShardQueue:
    return ShardQueue(app)


@pytest.fixture
def redis(app: Celery) -> Iterator[Any]:
    with redis_of(app) as redis:
        yield redis


def taken(app: Celery) -> list[ShardTask]:
    """All that waits, as a worker would read it; each is done with."""
    found = []
    with app.connection_for_read() as connection, connection.channel() as channel:
        while message := channel.basic_get(QUEUE):
            message.ack()
            [[words], _, _] = message.decode()
            found.append(ShardTask.model_validate(words))
    return found


def test_all_that_is_sent_waits_and_comes_out_as_it_went_in(app: Celery, queue: ShardQueue) -> None:
    tasks = shards(3 * MOST_MESSAGES + 1)
    assert queue.send_all(tasks) == len(tasks)
    assert queue.depth() == queue.depth(JOB) == len(tasks)
    assert queue.in_flight() == {message_id(JOB, task.shard_id) for task in tasks}
    assert taken(app) == tasks
    assert (queue.depth(), queue.in_flight()) == (0, frozenset())


def test_nothing_to_send_is_nothing_sent(queue: ShardQueue) -> None:
    assert queue.send_all([]) == 0


def test_only_what_neither_waits_nor_is_worked_on_counts_as_sent(queue: ShardQueue, claim) -> None:
    tasks = shards(10)
    assert queue.send_all(tasks[:4]) == 4
    with claim() as message:
        assert queue.send_all(tasks[:6]) == 2
        message.ack()
    assert queue.send_all(tasks) == 5
    assert queue.send_all([tasks[0], tasks[0]]) == 0


def test_the_message_is_what_celery_would_have_sent(app: Celery, queue: ShardQueue, redis: Any) -> None:
    task = shard(1)
    app.send_task(TASK, args=[task.model_dump(mode="json")], task_id=message_id(JOB, task.shard_id), headers={"once": True})
    celerys = json.loads(redis.lindex(QUEUE, 0))
    redis.flushall()
    queue.send(task)
    ours = json.loads(redis.lindex(list_of(QUEUE, short_name(JOB)), 0))
    assert ours["headers"].pop("job") == short_name(JOB)
    assert ours["headers"].pop("weight") is None
    assert ours["headers"].pop("sent_at") == pytest.approx(time.time(), abs=60)
    assert (ours["headers"].pop("argsrepr"), bool(celerys["headers"].pop("argsrepr"))) == (f"{JOB}, 1 video", True)
    for message in (ours, celerys):
        assert message["properties"].pop("delivery_tag")
        message["properties"].pop("reply_to")  # nobody waits for an answer
        message["body"] = app.connection_for_read().default_channel.decode_body(message["body"], "base64")
    assert json.loads(ours.pop("body")) == json.loads(celerys.pop("body"))
    assert ours == celerys


def test_large_messages_are_compressed_and_read_all_the_same(app: Celery, queue: ShardQueue, redis: Any) -> None:
    tasks = [shard(0, videos=64), shard(1, videos=1)]
    queue.send_all(tasks)
    sizes = [len(text) for text in redis.lrange(list_of(QUEUE, short_name(JOB)), 0, -1)]
    assert len(tasks[0].model_dump_json()) > 3 * max(sizes) > COMPRESSED_FROM
    assert taken(app) == tasks


def test_many_travel_in_few_trips(queue: ShardQueue, redis: Any) -> None:
    queue.send(shard(10_000))
    before = redis.info("commandstats")["cmdstat_eval"]["calls"]
    queue.send_all(shards(4 * MOST_MESSAGES))
    assert redis.info("commandstats")["cmdstat_eval"]["calls"] - before == 4


def test_shards_of_several_jobs_wait_apart_and_are_counted_apart(app: Celery, queue: ShardQueue) -> None:
    ours, theirs = shards(3), shards(2, job=OTHER)
    mixed = [ours[0], theirs[0], ours[1], ours[2], theirs[1]]
    assert queue.send_all(mixed) == 5
    assert (queue.depth(), queue.depth(JOB), queue.depth(OTHER), queue.depth("s3://out/none")) == (5, 3, 2, 0)
    assert queue.in_flight(OTHER) == {message_id(OTHER, task.shard_id) for task in theirs}
    assert taken(app) == [ours[0], theirs[0], ours[1], theirs[1], ours[2]]


def test_jobs_share_the_workers_by_the_weights_they_were_sent_with(app: Celery, queue: ShardQueue) -> None:
    queue.send_all(shards(40), weight=3)
    queue.send_all(shards(40, job=OTHER), weight=1)
    queue.send(shard(40))  # as a worker does with what is left of a shard
    jobs = [task.job for task in taken(app)]
    assert jobs[:40].count(JOB) == 30


@pytest.mark.parametrize("weight", [0, -1, float("inf"), float("nan")])
def test_a_weight_that_is_none_is_refused(queue: ShardQueue, weight: float) -> None:
    with pytest.raises(ValueError, match="a number above 0"):
        queue.send_all(shards(1), weight=weight)
    assert queue.depth() == 0


def test_a_message_that_celery_sends_with_our_headers_waits_with_its_job(app: Celery, queue: ShardQueue) -> None:
    task = shard(1)
    headers = {"once": True, "job": short_name(JOB), "weight": 2}
    for _ in range(2):
        app.send_task(TASK, args=[task.model_dump(mode="json")], task_id=message_id(JOB, task.shard_id), headers=headers)
    assert (queue.depth(), queue.depth(JOB)) == (1, 1)


@pytest.mark.parametrize("headers", [{"job": "0" * 8}, {"once": True, "job": 7}, {"once": True, "job": "0" * 8, "weight": "much"}])
def test_headers_that_are_not_ours_make_a_plain_message(app: Celery, queue: ShardQueue, redis: Any, headers: dict[str, Any]) -> None:
    app.send_task("other", headers=headers)
    assert (queue.depth(), redis.exists(list_of(QUEUE, "0" * 8))) == (1, 0)


def test_a_full_broker_says_how_many_went_in_and_takes_the_rest_later(app: Celery, queue: ShardQueue, redis: Any) -> None:
    tasks = shards(CALLS_PER_TRIP * MOST_MESSAGES)
    try:
        limit = queue.used_bytes() + 512 * 1024
        redis.config_set("maxmemory", str(limit))
        assert queue.limit_bytes() == limit
        with pytest.raises(BrokerFullError, match="messages went in, and nothing is lost") as refused:
            queue.send_all(tasks)
        assert 0 < refused.value.sent == queue.depth() == redis.scard(ONCE) < len(tasks)
        assert "or raise Redis's maxmemory" in str(refused.value)
        assert len(taken(app)) == refused.value.sent
    finally:
        redis.config_set("maxmemory", "0")
    assert queue.limit_bytes() is None
    assert queue.send_all(tasks) == len(tasks)


def test_celerys_own_transport_keeps_everything_in_one_list(redis_url: str, app: Celery) -> None:
    plain = make_app(f"{redis_url}?transport=celery")
    queue, tasks = ShardQueue(plain), [*shards(2, videos=64), *shards(1, job=OTHER)]
    assert queue.send_all(tasks, weight=3) == 3
    with redis_of(app) as redis:
        assert redis.llen(QUEUE) == 3
    assert queue.depth() == queue.depth(JOB) == 3
    assert queue.in_flight(OTHER) == {message_id(OTHER, tasks[2].shard_id)}
    assert taken(app) == tasks  # by a worker of the other kind, on the same Redis
    plain.close()


def test_naming_what_is_in_flight_reads_no_messages(queue: ShardQueue, redis: Any, claim) -> None:
    queue.send_all(shards(500))
    redis.config_resetstat()
    with claim():
        assert len(queue.in_flight()) == 500
    asked = redis.info("commandstats")
    assert not {"cmdstat_lrange", "cmdstat_hvals", "cmdstat_hget"} & {name for name in asked if asked[name]["calls"] > 500}
    assert "cmdstat_lrange" not in asked


def test_what_somebody_took_by_hand_is_missed_at_once_and_can_be_sent_again(queue: ShardQueue, redis: Any) -> None:
    tasks = shards(250)
    queue.send_all(tasks)
    gone = json.loads(redis.rpop(list_of(QUEUE, short_name(JOB))))["headers"]["id"]
    assert len(queue.in_flight()) == 249
    assert gone not in queue.in_flight()
    assert queue.send_all(tasks) == 1


def test_a_message_of_another_kind_is_in_flight_too(app: Celery, queue: ShardQueue) -> None:
    queue.send(shard(1))
    app.send_task("other", task_id="plain")
    names = {message_id(JOB, shard(1).shard_id), "plain"}
    assert queue.in_flight() == names
    with app.connection_for_read() as connection, connection.channel() as channel:
        one = channel.basic_get(QUEUE)
        assert queue.in_flight() == names
        one.ack()
        assert queue.in_flight() == {"plain"}


def test_kombus_own_counting_and_purging_know_all_jobs(app: Celery, queue: ShardQueue, redis: Any) -> None:
    queue.send_all([*shards(3), *shards(2, job=OTHER)])
    app.send_task("other")
    with app.connection_for_write() as connection, connection.channel() as channel:
        assert channel.queue_declare(QUEUE, passive=True).message_count == 6
        held = channel.basic_get(QUEUE)
        assert channel.queue_purge(QUEUE) == 5
        assert channel.basic_get(QUEUE) is None
        assert (redis.hlen(CLAIMS), queue.depth(JOB), queue.depth(OTHER)) == (1, 0, 0)
        held.ack()
    assert queue.in_flight() == frozenset()


def test_jobs_are_counted_while_their_shards_wait(app: Celery, queue: ShardQueue) -> None:
    assert queue.jobs() == 0
    queue.send_all([*shards(3), *shards(1, job=OTHER)])
    assert queue.jobs() == 2
    with app.connection_for_read() as connection, connection.channel() as channel:
        for _ in range(2):
            channel.basic_get(QUEUE).ack()
        assert queue.jobs() == 1
        channel.basic_get(QUEUE).ack()
        channel.basic_get(QUEUE).ack()
    assert queue.jobs() == 0


def flush(app: Celery) -> None:
    with redis_of(app) as redis:
        redis.flushall()


def purge(app: Celery) -> None:
    app.control.purge()


@pytest.mark.parametrize("forget", [flush, purge])
def test_a_broker_that_forgot_what_was_sent_goes_by_another_name(app: Celery, queue: ShardQueue, forget: Callable[[Celery], None]) -> None:
    before = queue.epoch(JOB)
    queue.send_all(shards(3))
    taken(app)
    assert queue.epoch(JOB) == before
    forget(app)
    assert queue.epoch(JOB) != before


def test_a_broker_that_was_started_again_goes_by_another_name(tmp_path: Path) -> None:
    with lasting_redis(tmp_path) as start:
        names = []
        for _ in range(2):
            server = start()
            app = make_app(f"redis+socket://{tmp_path}/redis.sock")
            eventually((tmp_path / "redis.sock").exists)
            names.append(ShardQueue(app).epoch(JOB))
            app.close()
            server.kill()
            server.wait()
            (tmp_path / "redis.sock").unlink()
    assert names[0].partition(":")[2] == names[1].partition(":")[2]
    assert names[0] != names[1]
