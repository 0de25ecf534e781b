"""A fleet in parts: a broker, workers that come and go, and a producer that only launches."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from fleet_runs import audited, command, frame_ids, framefleet, objects, redis_server, running, slow, wait_until, write_clips

from fleet.audit import audit
from storage.job import open_job

CLIPS = 6


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"), CLIPS)


def launch(clips: Path, job: Path, broker: str) -> None:
    ended = framefleet("launch", clips, "--out", job, "--engine", "scripted", "--broker", broker)
    assert ended.status == 0, ended.said
    assert f"{CLIPS} shards enqueued" in ended.err
    assert f"framefleet status file://{job} --broker {broker}" in ended.err


def complete(job: Path) -> bool:
    return audit(open_job(str(job))).complete


WORKERS = {
    "framefleet": command("worker", "--engine", "scripted"),
    "celery": [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "--pool=threads", "--concurrency=2", "--loglevel=WARNING"],
}


@pytest.mark.parametrize("kind", WORKERS)
def test_a_launched_job_is_worked_by_whoever_listens(kind: str, broker: str, clips: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    launch(clips, job, broker)
    waiting = framefleet("status", job, "--broker", broker, "--json").json
    assert (waiting["committed_videos"], waiting["broker"]["waiting"], waiting["broker"]["in_work"]) == (0, CLIPS, 0)
    env = {"FRAMEFLEET_BROKER_URL": broker, "FRAMEFLEET_ENGINE": "scripted"}
    with running(WORKERS[kind], tmp_path / "said", env) as worker:
        wait_until(lambda: worker.family() and complete(job))
        worker.signal(signal.SIGTERM)
        ended = worker.ended()
        assert ended.status == 0, ended.err
        assert worker.left_behind() == []
    assert audited(job).frames == len(frame_ids(job)) == CLIPS * 8


def test_a_stopped_worker_finishes_its_shard_and_another_does_the_rest(broker: str, clips: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    launch(clips, job, broker)
    words = command("worker", "--engine", "scripted", "--broker", broker)
    with running(words, tmp_path / "first", slow(seconds=0.3)) as worker:
        wait_until(lambda: worker.family() and objects(job))
        worker.signal(signal.SIGTERM)
        assert worker.ended().status == 0
        assert worker.left_behind() == []
    assert len(objects(job)) < CLIPS
    with running(words, tmp_path / "second") as worker:
        wait_until(lambda: worker.family() and complete(job))
    assert audited(job).captioned_videos == CLIPS
    again = framefleet("launch", clips, "--out", job, "--engine", "scripted", "--broker", broker)
    assert again.status == 0
    assert again.err.startswith("0 shards enqueued")


def test_a_wiped_broker_loses_nothing(broker: str, clips: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    launch(clips, job, broker)
    with redis.Redis.from_url(broker) as client:
        client.flushall()
    launch(clips, job, broker)
    with running(command("worker", "--engine", "scripted", "--broker", broker), tmp_path / "said") as worker:
        wait_until(lambda: worker.family() and complete(job))
    assert audited(job).captioned_videos == CLIPS


def test_a_broker_that_is_away_is_named(clips: Path, tmp_path: Path) -> None:
    away = ("--broker", "redis://127.0.0.1:1/0")
    launched = framefleet("launch", clips, "--out", tmp_path / "job", "--engine", "scripted", *away)
    for ended in (launched, framefleet("status", tmp_path / "job", *away)):
        assert ended.status == 1
        assert "broker does not answer" in ended.err
        assert "--broker" in ended.err


def test_a_worker_that_cannot_work_takes_no_message_and_says_why(broker: str, clips: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    launch(clips, job, broker)
    with running(command("worker", "--engine", "vllm", "--broker", broker), tmp_path / "said") as worker:
        ended = worker.ended()
    assert ended.status == 4
    assert "this worker cannot start: vLLM cannot be loaded" in ended.err
    assert framefleet("status", job, "--broker", broker, "--json").json["broker"]["waiting"] == CLIPS
