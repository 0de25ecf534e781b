"""What it costs to claim a message in one call, beside Celery's own transport on the same machine.

tasks_per_second
    Messages of tasks that do nothing, drained from a full queue by real workers, each with eight threads, between the moments when a
    tenth and nine tenths of them were done. Pairs are measured one after the other, in turns; the ratio is the median of the pairs' ratios.
latency_ms
    From before a message is sent to the first line of its task, with one idle worker; sent 0.1 to 0.5 s apart.
idle
    Round trips per second at the server and its CPU with so many idle connections that wait for messages, each a real channel in an
    event loop; kombu's channels share their machine's clock and ours do not.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from kombu.asynchronous import Hub, set_event_loop
from kombu.entity import Queue
from processes import this_machine
from report import show

from broker import QUEUE
from broker.app import make_app
from broker.embedded import embedded_redis, start_child
from broker.queues import redis_of

TRANSPORTS = ("claims", "celery")
HERE = Path(__file__).parent
WAITS = "bench:waits"
ROUND_TRIPS = ("brpop", "eval", "evalsha", "set", "zrange", "ping")
"""Commands that clients send; others run inside scripts only."""
PER_PROCESS = 50
"""Idle connections that share a process: more, and its event loop would be what is measured."""

app = make_app(os.environ.get("BENCH_BROKER", "redis://localhost:1/0"))


@app.task(name="bench.note")
def note(sent_at: float) -> None:
    """Say how long the message took, on the clock that all processes of a machine share."""
    waited = time.monotonic() - sent_at
    if sent_at:
        with redis_of(app) as redis:
            redis.rpush(WAITS, waited)


@contextmanager
def workers(url: str, count: int) -> Iterator[None]:
    """Run so many workers."""
    env = os.environ | {"PYTHONPATH": f"{HERE.parent}:{HERE}", "BENCH_BROKER": url}
    options = ["--pool=threads", "--concurrency=8", "--without-gossip", "--without-mingle"]
    words = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "claims", "worker", *options]
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.extend(start_child([*words, f"--hostname=w{number}@%h"], env=env) for number in range(count))
        yield
    finally:
        for worker in started:
            worker.kill()
            worker.wait()


def tasks_per_second(transport: str, *, count: int, tasks: int) -> float:
    """Drain a full queue."""
    with embedded_redis() as place:
        url = f"{place}?transport={transport}"
        asking = make_app(url)
        with asking.producer_or_acquire() as producer:
            for _ in range(tasks):
                asking.send_task("bench.note", args=[0.0], producer=producer)
        with workers(url, count), redis_of(asking) as redis:
            looks: list[tuple[float, int]] = []
            while not looks or looks[-1][1]:
                looks.append((time.monotonic(), redis.llen(QUEUE)))
                time.sleep(0.005)
        asking.close()
    steady = [look for look in looks if 0.1 * tasks <= look[1] <= 0.9 * tasks]
    return (steady[0][1] - steady[-1][1]) / (steady[-1][0] - steady[0][0])


def drained(*, count: int, tasks: int, pairs: int) -> dict[str, Any]:
    """Measure pairs in turns."""
    rates: dict[str, list[float]] = {transport: [] for transport in TRANSPORTS}
    for pair in range(pairs):
        for transport in TRANSPORTS[:: 1 if pair % 2 else -1]:
            rates[transport].append(tasks_per_second(transport, count=count, tasks=tasks))
    ours, theirs = (rates[transport] for transport in TRANSPORTS)
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    return {
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        **{transport: round(median(rates[transport]), 1) for transport in TRANSPORTS},
    }


def latency_ms(transport: str, *, messages: int) -> dict[str, float]:
    """Send to an idle worker."""
    with embedded_redis() as place:
        url = f"{place}?transport={transport}"
        asking = make_app(url)
        with workers(url, 1), redis_of(asking) as redis:
            for number in range(messages + 1):  # the first finds the worker starting
                asking.send_task("bench.note", args=[time.monotonic()])
                while redis.llen(WAITS) <= number:
                    time.sleep(0.005)
                time.sleep(random.uniform(0.1, 0.5))  # noqa: S311
            waits = sorted(float(wait) * 1000 for wait in redis.lrange(WAITS, 1, -1))
        asking.close()
    return {"p50": round(median(waits), 2), "p95": round(quantiles(waits, n=20)[-1], 2), "max": round(waits[-1], 2)}


def wait_idly(url: str, connections: int) -> None:
    """Hold connections whose channels wait for messages, in one event loop."""
    idle, hub = make_app(url), Hub()
    set_event_loop(hub)
    for _ in range(connections):
        connection = idle.connection_for_read()
        connection.Consumer([Queue(QUEUE)], callbacks=[lambda *_: None]).consume()
        connection.transport.register_with_event_loop(connection.connection, hub)
    hub.run_forever()


def idle(transport: str, *, connections: int, seconds: float) -> dict[str, float]:
    """Count what idle connections cost the server."""
    with embedded_redis() as place:
        url, context = f"{place}?transport={transport}", get_context("spawn")
        sizes = [PER_PROCESS] * (connections // PER_PROCESS)
        children = [context.Process(target=wait_idly, args=(url, size), daemon=True) for size in sizes]
        for child in children:
            child.start()
        asking = make_app(url)
        with redis_of(asking) as redis:
            while redis.info("clients")["blocked_clients"] < 0.9 * sum(sizes):
                time.sleep(0.5)
            time.sleep(5)
            before, cpu = trips(redis), server_cpu_seconds(redis)
            time.sleep(seconds)
            after, cpu_after = trips(redis), server_cpu_seconds(redis)
        asking.close()
        for child in children:
            child.kill()
            child.join()
    return {
        "round_trips_per_second": round((after - before) / seconds, 1),
        "server_cpu_percent": round(100 * (cpu_after - cpu) / seconds, 2),
    }


def trips(redis: Any) -> int:
    """How often clients asked something so far."""
    told = redis.info("commandstats")
    return sum(told.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ROUND_TRIPS)


def server_cpu_seconds(redis: Any) -> float:
    """CPU of the server so far."""
    told = redis.info("cpu")
    return float(told["used_cpu_sys"] + told["used_cpu_user"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the broker's transport beside Celery's own.")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs for each number of workers")
    parser.add_argument("--tasks", type=int, default=5000, help="messages of a run")
    parser.add_argument("--connections", type=int, default=1000, help="idle connections")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    figures: dict[str, Any] = {
        f"tasks_per_second, {count} workers": drained(count=count, tasks=asked.tasks, pairs=asked.pairs) for count in (1, 8)
    }
    figures["latency_ms"] = {transport: latency_ms(transport, messages=100) for transport in TRANSPORTS}
    figures[f"idle, {asked.connections} connections"] = {
        transport: idle(transport, connections=asked.connections, seconds=20.0) for transport in TRANSPORTS
    }
    show(figures | {"machine": asdict(this_machine())}, as_json=asked.json)


if __name__ == "__main__":
    main()
