import json

import pytest
from builders import HandmadeJob, film, new_store
from celery import Celery

from broker import QUEUE, TASK
from broker.queues import ShardQueue, message_id, redis_of
from schemas.errors import OperatorError
from schemas.task import ShardTask

ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def tasks() -> list[ShardTask]:
    handmade = HandmadeJob()
    return [handmade.task(film(new_store(), f"{number}.mp4")) for number in range(3)]


@pytest.fixture
def queue(app: Celery) -> ShardQueue:
    return ShardQueue(app)


def name(task: ShardTask) -> str:
    return message_id(task.job, task.shard_id)


def test_an_empty_queue_is_empty(queue: ShardQueue) -> None:
    assert (queue.depth(), queue.in_flight()) == (0, frozenset())


def test_what_is_sent_waits(queue: ShardQueue, tasks: list[ShardTask]) -> None:
    for task in tasks:
        queue.send(task)
    assert queue.depth() == 3
    assert queue.in_flight() == {name(task) for task in tasks}


def test_a_claimed_message_waits_no_more_and_is_in_flight(queue: ShardQueue, tasks: list[ShardTask], claim) -> None:
    for task in tasks:
        queue.send(task)
    with claim() as message:
        assert message.headers["id"] == name(tasks[0])
        assert queue.depth() == 2
        assert queue.in_flight() == {name(task) for task in tasks}


def test_an_acknowledged_message_is_gone(queue: ShardQueue, tasks: list[ShardTask], claim) -> None:
    queue.send(tasks[0])
    with claim() as message:
        message.ack()
    assert (queue.depth(), queue.in_flight()) == (0, frozenset())


def test_a_claim_that_is_let_go_waits_again(queue: ShardQueue, tasks: list[ShardTask], claim) -> None:
    queue.send(tasks[0])
    with claim():
        assert queue.depth() == 0
    assert queue.depth() == 1


def test_a_message_carries_its_shard_whole(queue: ShardQueue, tasks: list[ShardTask], claim) -> None:
    task = tasks[0].model_copy(update={"only_frames": (1, 3), "earlier_letters": ("dead/x.json",)})
    queue.send(task)
    with claim() as message:
        [[body], _, _] = json.loads(message.body)
    assert ShardTask.model_validate(body) == task
    assert message.headers["task"] == TASK


def test_messages_come_out_in_the_order_they_went_in(queue: ShardQueue, tasks: list[ShardTask], claim) -> None:
    for task in tasks:
        queue.send(task)
    seen = []
    for _ in tasks:
        with claim() as message:
            seen.append(message.headers["id"])
            message.ack()
    assert seen == [name(task) for task in tasks]


def test_a_messages_name_tells_its_shard_and_its_job_apart() -> None:
    assert message_id("s3://b/run", f"{ID}.3").endswith(f":{ID}.3")
    assert message_id("s3://b/run", ID) == message_id("s3://b/run", ID) != message_id("s3://b/run2", ID)


def test_messages_wait_where_the_depth_is_counted(queue: ShardQueue, tasks: list[ShardTask], app: Celery) -> None:
    queue.send(tasks[0])
    with redis_of(app) as redis:
        assert redis.llen(QUEUE) == 1


def test_a_broker_that_went_down_is_told_with_what_to_do(dead_app: Celery, tasks: list[ShardTask]) -> None:
    queue = ShardQueue(dead_app)
    for ask in (queue.depth, queue.in_flight, lambda: queue.send(tasks[0])):
        with pytest.raises(OperatorError, match="check --broker or FRAMEFLEET_BROKER_URL"):
            ask()
