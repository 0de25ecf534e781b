"""What becomes of messages when real workers freeze, die and lose their broker."""

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from fleet_runs import free_port
from kombu.entity import Queue
from tiny_crew import TinyCrew, crew, eventually, lasting_redis, tiny_crew

from broker import QUEUE
from broker.app import make_app
from broker.embedded import redis_server_path, start_child
from broker.queues import redis_of
from broker.scripts import CLAIMS, INDEX

__all__ = ["crew"]
CLAIM_SECONDS = 1.5


def claims(app: Celery) -> int:
    with redis_of(app) as redis:
        return int(redis.zcard(INDEX))


def test_a_message_that_a_frozen_worker_was_woken_for_is_done_by_another(crew: TinyCrew) -> None:
    frozen = crew.start()
    frozen.send_signal(signal.SIGSTOP)
    crew.send("note", "woken")
    crew.start()
    eventually(lambda: crew.done() == ["woken"], within_seconds=10)  # before its claim would have run out
    frozen.kill()
    frozen.wait()
    assert claims(crew.app) == 0


def test_workers_that_are_killed_again_and_again_lose_nothing(crew: TinyCrew) -> None:
    sender = threading.Thread(target=lambda: [crew.send("note", number) for number in range(2000)])
    sender.start()
    for kill in range(1, 6):
        worker = crew.start(claim_seconds=CLAIM_SECONDS, threads=4, ready=False)
        eventually(lambda kill=kill: len(crew.done()) >= kill * 300)
        worker.kill()
        worker.wait()
    sender.join()
    crew.start(claim_seconds=CLAIM_SECONDS, threads=4)
    eventually(lambda: len(set(crew.done())) == 2000)
    eventually(lambda: claims(crew.app) == 0)
    again = {word: times for word, times in Counter(crew.done()).items() if times > 1}
    assert sum(again.values()) - len(again) <= 5 * 8  # only what was in hand when a worker was killed


def test_work_that_outlasts_its_claim_is_done_once_whatever_the_clocks_say(crew: TinyCrew) -> None:
    crew.start(claim_seconds=CLAIM_SECONDS, skew_seconds=-86400)
    crew.send("hold", "long", 4)
    eventually(lambda: crew.done() == ["long begun"])
    crew.start(claim_seconds=CLAIM_SECONDS, skew_seconds=86400)
    eventually(lambda: "long" in crew.done())
    assert crew.done() == ["long begun", "long"]
    eventually(lambda: claims(crew.app) == 0)


def test_a_dead_workers_message_is_done_by_one_that_was_idle_all_along(crew: TinyCrew) -> None:
    worker = crew.start(claim_seconds=CLAIM_SECONDS)
    crew.send("hold", "long", 60)
    eventually(lambda: crew.done() == ["long begun"])
    crew.start(claim_seconds=CLAIM_SECONDS)
    worker.kill()
    worker.wait()
    waited = eventually(lambda: crew.done() == ["long begun"] * 2)
    assert CLAIM_SECONDS - 0.5 < waited < CLAIM_SECONDS + 10


def test_what_a_task_refuses_comes_back_marked(crew: TinyCrew) -> None:
    crew.start()
    crew.send("refuse", "back")
    eventually(lambda: len(crew.done()) == 2)
    assert [word.split()[1] for word in crew.done()] == ["False", "True"]
    eventually(lambda: claims(crew.app) == 0)


def test_operators_see_and_reach_the_workers(crew: TinyCrew) -> None:
    crew.start()
    crew.send("hold", "long", 60)
    eventually(lambda: crew.done() == ["long begun"])
    inspect = crew.app.control.inspect(timeout=30, limit=1)
    [[active]] = inspect.active().values()
    assert (active["name"], active["args"]) == ("tiny.hold", ["long", 60])
    assert active["delivery_info"]["routing_key"] == QUEUE
    [pong] = inspect.ping().values()
    assert pong == {"ok": "pong"}


@contextmanager
def sending(crew: TinyCrew, task: str, word: str) -> Iterator[None]:
    """Queue a task again and again, as long as the block lasts."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.5):
            crew.send(task, word)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def test_events_of_tasks_arrive(crew: TinyCrew) -> None:
    seen: list[str] = []
    crew.start()
    with crew.app.connection_for_read() as connection:
        receiver = crew.app.events.Receiver(connection)

        def see(event: dict[str, Any]) -> None:
            seen.append(event["type"])
            receiver.should_stop = "task-succeeded" in seen

        receiver.handlers["*"] = see
        with sending(crew, "note", "seen"):  # whoever listens hears what comes after it has begun to, which nobody tells
            receiver.capture(limit=None, timeout=60, wakeup=False)
    assert {"task-received", "task-started", "task-succeeded"} <= set(seen)


def test_a_worker_is_woken_at_once_and_closes_without_waiting_for_the_bell(crew: TinyCrew) -> None:
    worker = crew.start()
    waits = []
    for number in range(5):
        crew.send("note", number)
        waits.append(eventually(lambda number=number: len(crew.done()) > number))
    assert sorted(waits)[2] < 1  # a nap takes longer
    worker.terminate()
    assert worker.wait(timeout=30) == 0


def consume(app: Celery, names: list[str], *, count: int) -> list[tuple[str, str]]:
    """Take messages from queues as a consumer without an event loop does."""
    seen: list[tuple[str, str]] = []

    def see(body: Any, message: Any) -> None:
        seen.append((message.delivery_info["routing_key"], body))
        message.ack()

    with app.connection_for_read() as connection, connection.Consumer([Queue(name) for name in names], callbacks=[see]):
        while len(seen) < count:
            connection.drain_events(timeout=10)
    return seen


@pytest.mark.parametrize("prefix", ["", "team:"])
@pytest.mark.usefixtures("app")  # which empties Redis
def test_two_claimed_queues_and_one_of_kombus_own_are_consumed_together(redis_url: str, prefix: str) -> None:
    app = make_app(f"{redis_url}?key_prefix={prefix}")
    app.conf.broker_transport_options["claimed_queues"] = (QUEUE, "second")
    names = [QUEUE, "second", "kombus"]
    with app.connection_for_write() as connection:
        producer = connection.Producer()
        for number in range(4):
            for name in names:
                producer.publish(f"{number}", routing_key=name, exchange="", declare=[])
    seen = consume(app, names, count=12)
    assert sorted(seen) == sorted((name, f"{number}") for number in range(4) for name in names)
    for name in names:
        assert [body for queue, body in seen if queue == name] == ["0", "1", "2", "3"]
    with redis_of(app) as redis:
        assert (redis.hlen(CLAIMS), redis.hlen("unacked"), redis.exists("kombus:bell")) == (0, 0, 0)
        assert redis.prefix == prefix
    app.close()


def test_what_is_urgent_is_claimed_first(app: Celery) -> None:
    app.conf.broker_transport_options["priority_steps"] = [0, 5]  # kombu's order on Redis: less is more urgent
    with app.connection_for_write() as connection:
        for priority in (5, 0, 9):
            connection.Producer().publish(f"{priority}", routing_key=QUEUE, exchange="", priority=priority)
    assert [body for _, body in consume(app, [QUEUE], count=3)] == ["0", "5", "9"]


def test_a_broker_that_dies_and_comes_back_costs_no_message_and_no_work(tmp_path: Path) -> None:
    url = f"redis+socket://{tmp_path}/redis.sock"
    with lasting_redis(tmp_path) as start:
        server = start()
        eventually((tmp_path / "redis.sock").exists)
        with tiny_crew(url, tmp_path) as crew:
            crew.start(threads=2)
            crew.send("hold", "long", 4)
            eventually(lambda: crew.done() == ["long begun"])
            server.kill()
            server.wait()
            start()
            eventually(lambda: crew.app.connection_for_read().ensure_connection(max_retries=1))
            for number in range(10):
                crew.send("note", number)
            eventually(lambda: len(set(crew.done())) == 12)
            eventually(lambda: claims(crew.app) == 0)
            assert Counter(crew.done())["long"] == 1


def test_a_user_with_a_password_and_few_rights_is_enough(tmp_path: Path) -> None:
    rights = "user fleet on >secret ~team:* &* +@all -@dangerous +info"
    (tmp_path / "users").write_text(f"user default off\n{rights}\n")
    with lasting_redis(tmp_path, "--aclfile", f"{tmp_path}/users") as start:
        start()
        eventually((tmp_path / "redis.sock").exists)
        url = f"redis+socket://fleet:secret@{tmp_path}/redis.sock?key_prefix=team:"
        app = make_app(url)
        app.send_task("tiny.note", args=["x"])
        with app.connection_for_read() as connection:
            connection.default_channel.basic_get(QUEUE).ack()
        app.close()


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[str]:
    """The URL of a Sentinel that knows a master by the name of `main`."""
    master, watcher = free_port(), free_port()
    (tmp_path / "sentinel.conf").write_text(f"port {watcher}\ndir {tmp_path}\nsentinel monitor main 127.0.0.1 {master} 1\n")
    words = [
        [redis_server_path(), "--port", str(master), "--save", ""],
        [redis_server_path(), str(tmp_path / "sentinel.conf"), "--sentinel"],
    ]
    servers = [start_child(one) for one in words]
    try:
        yield f"sentinel://127.0.0.1:{watcher};sentinel://127.0.0.1:{watcher}/0?master_name=main"
    finally:
        for server in servers:
            server.kill()
            server.wait()


def test_claims_go_to_the_master_that_sentinel_names(sentinel: str) -> None:
    app = make_app(sentinel)
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=20, interval_start=0.1, interval_max=0.2)
        connection.Producer().publish("x", routing_key=QUEUE, exchange="")
        assert connection.default_channel.run(("ROLE",))[0] in {b"master", "master"}
    assert consume(app, [QUEUE], count=1) == [(QUEUE, "x")]
    app.close()
