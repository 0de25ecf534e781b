"""A live worker and a live exporter over a real Redis expose what the table documents, no less and no more, and agree with the audit."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from chat_server import ChatServer, Reply, Request, completion
from clips import bad_files
from fleet_runs import CHECKOUT, Running, audited, command, framefleet, free_port, redis_server, running, wait_until, write_clips
from scraped import Scrape, kinds_of, scrape, serves

from broker.app import make_app
from broker.messages import short_name
from broker.queues import redis_of
from fleet.audit import AuditReport
from schemas.annotation import FIELDS
from schemas.metrics import FLEET, PROCESS, WORKER
from schemas.recipe import load_recipe
from storage.job import open_job
from workers.ceiling import Ceiling, Ceilings
from workers.engines.scripted import scripted_answer
from workers.keyframe import Form, Picture
from workers.machine import machine_words

METRICS = command("metrics")
ANSWER = scripted_answer(Picture.of(np.zeros((2, 2, 3), np.uint8), form=Form.JPEG, jpeg_quality=90), FIELDS)
MEMORY_BYTES = 1 << 30
PROMPT, OUTPUT = 900, 150


def answer(request: Request) -> Reply:
    """The third answer lacks what the schema wants; the first is to whether the endpoint is there."""
    return completion("{}" if request.number == 3 else ANSWER, tokens=(PROMPT, OUTPUT))


@dataclass
class Fleet:
    """A job that was worked to its end, its worker and its exporter, both still there."""

    broker: str
    job: Path
    worker: Running
    worker_port: int
    exporter_port: int
    health: Path

    @property
    def name(self) -> str:
        return short_name(open_job(str(self.job)).url)

    def audited(self) -> AuditReport:
        return audited(self.job)


def films(folder: Path) -> Path:
    """Two good clips, one that was cut in the middle, one that is none, and notes that are to be left out."""
    write_clips(folder, 2)
    (folder / "notes.md").write_text("Not to be captioned.", encoding="utf-8")
    for name in ("truncated_index_in_front.mp4", "text.mp4"):
        (folder / name).write_bytes(bad_files()[name]())
    return folder


def limit_memory(broker: str) -> None:
    app = make_app(broker)
    with redis_of(app) as redis:
        redis.execute_command("CONFIG", "SET", "maxmemory", MEMORY_BYTES)
    app.close()


def keep_ceiling(folder: Path, chat: ChatServer) -> None:
    """Have the engine measured on this machine."""
    recipe = load_recipe("vidcap-12b")
    ceiling = Ceiling(
        engine=f"openai at {urlsplit(chat.url).netloc}",
        model=recipe.model,
        image=recipe.image,
        machine=machine_words(),
        recipe=recipe.name,
        recipe_id=recipe.recipe_id,
        answer_tokens=8,
        in_flight=8,
        frames=8,
        seconds=0.16,
        frames_per_second=50.0,
        prompt_tokens_per_second=None,
        cached_tokens_per_second=None,
        output_tokens_per_second=None,
        versions={},
        measured_at=datetime.now(UTC),
    )
    Ceilings(str(folder)).keep(ceiling)


def worked(broker: str) -> bool:
    app = make_app(broker)
    try:
        with redis_of(app) as redis:
            return not redis.llen("framefleet") and not redis.hlen("claims")
    finally:
        app.close()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("exported")
    clips, job, health = films(folder / "clips"), folder / "job", folder / "health"
    ports = free_port(), free_port()
    with ExitStack() as stack:
        chat = stack.enter_context(ChatServer(answer))
        broker = stack.enter_context(redis_server(folder))
        limit_memory(broker)
        env = {
            "FRAMEFLEET_BROKER_URL": broker,
            "FRAMEFLEET_METRICS_PORT": str(ports[0]),
            "FRAMEFLEET_METRICS_ADDRESS": "127.0.0.1",
            "FRAMEFLEET_HEALTH_FOLDER": str(health),
            "FRAMEFLEET_CEILING_DIR": str(folder / "ceilings"),
            "FRAMEFLEET_GPU_DOLLARS_PER_HOUR": "1.8",
            "FRAMEFLEET_ENGINE": "openai",
            "FRAMEFLEET_OPENAI_BASE_URL": chat.url,
            "FRAMEFLEET_OPENAI_MODEL": "tiny",
        }
        keep_ceiling(folder / "ceilings", chat)
        policy = ("--all-files", "--exclude", "*.md", "--every", 0, "--skip-duplicates", 255)
        assert framefleet("launch", clips, "--out", job, "--engine", "openai", *policy, "--broker", broker).status == 0
        worker = stack.enter_context(running(command("worker"), folder / "worker", env))
        wait_until(lambda: serves(ports[0]) and worked(broker))
        assert framefleet("audit", job, "--keep").status == 0
        words = [*METRICS, "--job", str(job), "--port", str(ports[1]), "--address", "127.0.0.1", "--price", "1.8", "--every", "1"]
        stack.enter_context(running(words, folder / "exporter", {"FRAMEFLEET_BROKER_URL": broker}))
        wait_until(lambda: serves(ports[1]) and not scrape(ports[1]).empty() & {"framefleet_job_info", "framefleet_job_cost_dollars"})
        yield Fleet(broker, job, worker, *ports, health)


@pytest.fixture
def of_worker(fleet: Fleet) -> Scrape:
    return scrape(fleet.worker_port)


@pytest.fixture
def of_fleet(fleet: Fleet) -> Scrape:
    return scrape(fleet.exporter_port)


def test_a_worker_exposes_what_is_documented_and_nothing_else(of_worker: Scrape) -> None:
    assert of_worker.kinds == kinds_of((*WORKER, *PROCESS))
    assert of_worker.empty() == set()


def test_the_exporter_exposes_what_is_documented_and_nothing_else(of_fleet: Scrape) -> None:
    assert of_fleet.kinds == kinds_of((*FLEET, *PROCESS))
    nobody_knows_yet = {f"framefleet_job_{name}" for name in ("videos_per_second", "eta_seconds", "backlog_seconds")}
    assert of_fleet.empty() - nobody_knows_yet == {"framefleet_queue_oldest_seconds"}  # nothing waits


def test_a_workers_counters_agree_with_the_audit(fleet: Fleet, of_worker: Scrape) -> None:
    report = fleet.audited()
    frames = of_worker.by("outcome", "framefleet_frames_total")
    assert frames["copied"] > 0
    assert frames["captioned"] + frames["copied"] == report.frames == of_worker.value("framefleet_delivered_frames_total")
    assert frames["dead"] == report.dead_frames > 0
    assert of_worker.by("reason", "framefleet_dead_letters_total") == report.dead_by_reason
    assert of_worker.by("outcome", "framefleet_videos_total") == {"captioned": 2, "partial": 1, "dead": 1}
    assert of_worker.by("outcome", "framefleet_attempts_total") == {"settled": report.shards}


def test_stages_and_tokens_are_counted_once_for_each_frame(fleet: Fleet, of_worker: Scrape) -> None:
    asked = of_worker.by("outcome", "framefleet_frames_total")["captioned"]
    stages = of_worker.by("stage", "framefleet_stage_seconds_count")
    assert (stages["caption"], stages["validate"], stages["commit"]) == (asked, asked, fleet.audited().shards)
    assert stages["decode"] == of_worker.value("framefleet_delivered_frames_total")
    assert stages["fetch"] == sum(of_worker.by("outcome", "framefleet_read_requests_total").values())
    questions = of_worker.value("framefleet_engine_questions_total")
    assert questions == asked + 1  # one answer did not fit
    assert of_worker.value("framefleet_engine_tokens_total", kind="prompt") == PROMPT * questions
    assert of_worker.value("framefleet_engine_tokens_total", kind="output") == OUTPUT * questions


def test_an_answer_that_does_not_fit_is_told_by_rung_and_field(of_worker: Scrape) -> None:
    assert of_worker.value("framefleet_schema_failures_total", rung="constrained", field=FIELDS[0]) == 1
    assert of_worker.value("framefleet_rungs_total", rung="constrained", outcome="unfit") == 1
    assert of_worker.value("framefleet_rungs_total", rung="reseeded", outcome="accepted") == 1


def test_a_workers_time_and_price_give_its_cost(of_worker: Scrape) -> None:
    at_work, ready = of_worker.value("framefleet_gpu_seconds_total"), of_worker.value("framefleet_worker_seconds_total")
    assert 0 < at_work <= ready
    assert of_worker.value("framefleet_worker_dollars_per_hour") == 1.8
    assert of_worker.value("framefleet_engine_efficiency_ratio") > 0
    assert (of_worker.value("framefleet_draining"), of_worker.value("framefleet_breaker_seen_open")) == (0, 0)


def test_the_exporter_tells_how_far_the_job_is(fleet: Fleet, of_fleet: Scrape) -> None:
    report, job = fleet.audited(), fleet.name
    for name, value in {"planned": report.shards, "committed": report.shards}.items():
        assert of_fleet.value(f"framefleet_job_{name}_shards", job_name=job) == value
        assert of_fleet.value(f"framefleet_job_{name}_videos", job_name=job) == report.videos
    assert of_fleet.by("reason", "framefleet_job_dead_letters") == report.dead_by_reason
    assert of_fleet.by("state", "framefleet_job_state") == {"running": 1}
    assert of_fleet.value("framefleet_job_plan_complete", job_name=job) == 1
    assert of_fleet.value("framefleet_job_producer_feeding", job_name=job) == 0
    assert of_fleet.value("framefleet_job_looked_ratio", job_name=job) == 1
    assert of_fleet.by("cause", "framefleet_job_skipped_objects") == {"excluded": 1}
    assert of_fleet.value("framefleet_job_audit_uncovered_videos", job_name=job) == 0
    assert of_fleet.value("framefleet_job_audit_clean", job_name=job) == 1
    assert of_fleet.by("url", "framefleet_job_info") == {open_job(str(fleet.job)).url: 1}


def test_the_exporter_tells_of_the_broker_and_its_workers(fleet: Fleet, of_fleet: Scrape) -> None:
    assert of_fleet.value("framefleet_broker_up") == 1
    assert [of_fleet.value(f"framefleet_{name}_shards") for name in ("queue", "in_flight", "backlog")] == [0, 0, 0]
    assert sum(of_fleet.by("state", "framefleet_workers").values()) == 1
    assert of_fleet.value("framefleet_redis_limit_bytes") == MEMORY_BYTES > of_fleet.value("framefleet_redis_used_bytes") > 0
    assert of_fleet.value("framefleet_job_frames_total", job_name=fleet.name) == fleet.audited().frames
    assert of_fleet.value("framefleet_job_cost_dollars", job_name=fleet.name) > 0


def healthy(what: str, folder: Path) -> bool:
    words = [sys.executable, "-m", "fleet.entry", "health", what, "--folder", str(folder)]
    return subprocess.run(words, cwd=CHECKOUT, check=False).returncode == 0


def test_a_worker_that_drains_is_not_ready_any_more(fleet: Fleet) -> None:
    """The last test of this fleet: it ends the worker."""
    for what in ("alive", "ready", "progress"):
        assert healthy(what, fleet.health)
    fleet.worker.signal(signal.SIGTERM)
    wait_until(lambda: not (fleet.health / "ready").exists())
    assert fleet.worker.ended(within_seconds=20).status == 0
    assert not serves(fleet.worker_port)


def test_the_exporter_answers_while_its_broker_and_its_job_are_away(tmp_path: Path) -> None:
    port = free_port()
    words = [*METRICS, "--job", str(tmp_path / "nowhere"), "--port", str(port), "--broker", f"redis://127.0.0.1:{free_port()}/0"]
    with running(words, tmp_path) as exporter:
        wait_until(lambda: serves(port))
        found = scrape(port)
        assert found.value("framefleet_broker_up") == 0
        assert found.by("job_name", "framefleet_job_up") == {}
        assert found.kinds == kinds_of((*FLEET, *PROCESS))
        exporter.signal(signal.SIGTERM)
        assert exporter.ended(within_seconds=10).status == 0
