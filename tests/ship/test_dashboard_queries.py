"""A real Prometheus scrapes a fleet that works, fails and is killed; every query of every dashboard has an answer with data."""

import itertools
import json
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from chat_server import ChatServer, Reply, Request
from clips import bad_files
from fleet_runs import Running, command, framefleet, free_port, redis_server, running, wait_until, write_clips
from prometheus_server import Prometheus, prometheus
from queries import DASHBOARDS, RULES, annotation_queries, dashboard, every_query, panel_queries, recorded, rule_queries, rules
from scraped import scrape, serves

from broker.app import make_app
from broker.breaker import Breaker
from broker.messages import short_name
from broker.queues import redis_of
from schemas.annotation import FIELDS
from storage.job import open_job
from workers.engines.scripted import scripted_answer
from workers.keyframe import Form, Picture

CLIPS = 40
ANSWER = scripted_answer(Picture.of(np.zeros((2, 2, 3), np.uint8), form=Form.JPEG, jpeg_quality=90), FIELDS)
PACE_SECONDS = 0.4
LARGE_BYTES = 1 << 20
ENGINE = {
    "FRAMEFLEET_ENGINE": "openai",
    "FRAMEFLEET_OPENAI_MODEL": "tiny",
    "FRAMEFLEET_OPENAI_CONCURRENCY": "3",
    "FRAMEFLEET_GPU_DOLLARS_PER_HOUR": "1.8",
    "FRAMEFLEET_METRICS_ADDRESS": "127.0.0.1",
    "FRAMEFLEET_SHARDS_AT_ONCE": "2",
}


def answer(request: Request, answering: threading.Event) -> Reply:
    """Take a while, or until it is let go on; every ninth answer does not fit, and every eleventh is cut."""
    answering.wait(60)
    text, reason = ("{}" if request.number % 9 == 0 else ANSWER), ("length" if request.number % 11 == 0 else "stop")
    usage = {"prompt_tokens": 900, "completion_tokens": 150, "prompt_tokens_details": {"image_tokens": 256, "cached_tokens": 600}}
    choice = {"message": {"content": text}, "finish_reason": reason}
    return Reply(body=json.dumps({"choices": [choice], "usage": usage}).encode(), after_seconds=PACE_SECONDS)


@dataclass
class World:
    """What runs, and what the test does to it."""

    folder: Path
    broker: str
    chat: ChatServer
    stack: ExitStack
    job: Path
    ports: tuple[int, int, int, int]
    """Of two workers, of the exporter and of the producer."""
    prometheus: Prometheus
    answering: threading.Event
    """While it is not set the engine keeps its answers to itself."""
    _starts: Iterator[int] = field(default_factory=itertools.count)

    def worker(self, port: int) -> Running:
        env = ENGINE | {
            "FRAMEFLEET_BROKER_URL": self.broker,
            "FRAMEFLEET_OPENAI_BASE_URL": self.chat.url,
            "FRAMEFLEET_CEILING_DIR": str(self.folder / "ceilings"),
            "FRAMEFLEET_METRICS_PORT": str(port),
        }
        return self.stack.enter_context(running(command("worker"), self.folder / f"worker-{next(self._starts)}", env))

    def exporter(self) -> None:
        words = command("metrics", "--job", self.job, "--port", self.ports[2], "--address", "127.0.0.1", "--price", "1.8", "--every", "1")
        self.stack.enter_context(running(words, self.folder / "exporter", {"FRAMEFLEET_BROKER_URL": self.broker}))
        wait_until(lambda: serves(self.ports[2]) and self.told("framefleet_job_planned_videos"))

    def told(self, metric: str) -> float:
        return sum(value for (name, _), value in scrape(self.ports[2]).values.items() if name == metric)

    def plan(self) -> None:
        """Begin to queue good clips and bad ones, a few at a time, and leave something out."""
        clips = write_clips(self.folder / "clips", CLIPS)
        for name in ("truncated_index_in_front.mp4", "text.mp4"):
            body = bad_files()[name]()
            (clips / name).write_bytes(body * (1 + LARGE_BYTES // len(body)))  # what is large is worked first
        (clips / "notes.md").write_text("Not to be captioned.", encoding="utf-8")
        policy = ("--all-files", "--exclude", "*.md", "--every", 0, "--videos-per-shard", 1, "--engine", "openai", "--window", 6)
        words = command("launch", clips, "--out", self.job, *policy, "--broker", self.broker, "--metrics-port", self.ports[3])
        self.stack.enter_context(running(words, self.folder / "launch"))
        wait_until(lambda: serves(self.ports[3]) and (self.job / "job.json").exists())

    def measure(self) -> None:
        """Find the engine's ceiling, as workers will look for it."""
        env = ENGINE | {"FRAMEFLEET_OPENAI_BASE_URL": self.chat.url, "FRAMEFLEET_CEILING_DIR": str(self.folder / "ceilings")}
        assert framefleet("bench", "engine", "--engine", "openai", "--frames", 8, env=env).status == 0

    def until_finished(self, videos: int) -> None:
        wait_until(lambda: self.told("framefleet_job_videos_total") >= videos)


def limit_memory(broker: str) -> None:
    app = make_app(broker)
    with redis_of(app) as redis:
        redis.execute_command("CONFIG", "SET", "maxmemory", 1 << 30)
    app.close()


def open_breaker(world: World) -> None:
    """Have two workers say that all fails alike, which good work of others contradicts, until Prometheus has seen it open."""
    app = make_app(world.broker)
    breaker = Breaker(app)
    for number in itertools.count():
        breaker.judge(f"{'ab'[number % 2]}:1", ["engine_failed"] * 10, shard=str(number))
        if number % 20 == 0 and world.prometheus.has_seen("framefleet_breaker_open > 0"):
            break
        time.sleep(0.01)
    breaker.reset()
    app.close()


def drain(world: World, worker: Running) -> None:
    """Tell a worker to end while it has work, which takes until Prometheus has seen it drain."""
    world.answering.clear()
    worker.signal(signal.SIGTERM)
    wait_until(lambda: world.prometheus.has_seen("framefleet_draining > 0"))
    world.answering.set()
    assert worker.ended(within_seconds=90).status == 0


def live(world: World) -> None:
    """A fleet's day in a minute: work, a worker that is killed, an audit, a breaker that opens, a worker that drains."""
    wait_until(lambda: world.prometheus.has_seen("framefleet_job_dead_letters"))
    first, second = world.worker(world.ports[0]), world.worker(world.ports[1])
    world.until_finished(6)
    first.workers()[-1].send_signal(signal.SIGKILL)
    first.status(within_seconds=60)
    world.worker(world.ports[0])
    framefleet("audit", world.job, "--keep")
    wait_until(lambda: serves(world.ports[0]) and world.told("framefleet_job_audit_timestamp_seconds"))
    open_breaker(world)
    world.until_finished(CLIPS // 2)
    drain(world, second)
    wait_until(lambda: world.prometheus.has_seen("framefleet_job_videos_per_second > 0"))


@dataclass(frozen=True)
class Watched:
    """What Prometheus has seen, and of which job and time."""

    prometheus: Prometheus
    job_name: str
    begin: float
    end: float

    def filled_in(self, text: str) -> str:
        """A query as Grafana would send it, with everything chosen."""
        chosen = {"$__rate_interval": "15s", "$__range": "2m", "$job": self.job_name, "$fleet": ".*", "$worker": ".*"}
        return re.sub(r"\$\w+", lambda name: chosen[name.group()], text)

    def data(self, text: str) -> list[float]:
        return self.prometheus.values(self.filled_in(text), begin=self.begin, end=self.end)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    begin = time.time()
    with ExitStack() as stack:
        answering, ports = threading.Event(), (free_port(), free_port(), free_port(), free_port())
        answering.set()
        chat = stack.enter_context(ChatServer(partial(answer, answering=answering)))
        broker = stack.enter_context(redis_server(folder))
        limit_memory(broker)
        server = stack.enter_context(prometheus(folder / "prometheus", rules=RULES, targets=[f"127.0.0.1:{port}" for port in ports]))
        world = World(folder, broker, chat, stack, folder / "job", ports, server, answering)
        world.measure()
        world.plan()
        world.exporter()
        live(world)
        time.sleep(2)  # for scrapes of what came last
        yield Watched(server, short_name(open_job(str(world.job)).url), begin, time.time())


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_query_of_a_dashboard_is_answered_with_data(watched: Watched, name: str) -> None:
    assert [query.where for query in (*panel_queries(name), *annotation_queries(name)) if not watched.data(query.text)] == []


@pytest.mark.parametrize("name", DASHBOARDS)
def test_every_variable_of_a_dashboard_has_something_to_choose(watched: Watched, name: str) -> None:
    for one in dashboard(name)["templating"]["list"]:
        if one["type"] == "query":
            [(metric, label)] = re.findall(r"^label_values\((.+), (\w+)\)$", one["definition"])
            assert watched.prometheus.label_values(watched.filled_in(metric), label), one["name"]


def test_every_alert_is_understood_and_figures_are_worked_out(watched: Watched) -> None:
    groups = watched.prometheus.get("rules")["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    assert len(loaded) == len(rules())
    assert {rule["name"]: rule.get("lastError") for rule in loaded if rule["health"] != "ok"} == {}
    assert [query.where for query in rule_queries() if not isinstance(watched.data(query.text), list)] == []
    assert [name for name in recorded() if not watched.data(name)] == []


def test_what_a_fleet_did_in_a_minute_fires_what_it_should_and_nothing_else(watched: Watched) -> None:
    fired = watched.prometheus.get("query_range", query='ALERTS{alertstate="firing"}', start=watched.begin, end=watched.end, step=1)
    assert {series["metric"]["alertname"] for series in fired["result"]} == {"FramefleetNewDeadReason"}


def test_every_metric_that_is_asked_for_was_scraped(watched: Watched) -> None:
    names = set(watched.prometheus.get("label/__name__/values"))
    asked = {name for query in every_query() for name in query.metrics()}
    assert asked - names == set()
