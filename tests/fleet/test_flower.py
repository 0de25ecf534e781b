"""Flower on a real fleet: what an operator reads of shards, what he cannot change, and who may look at all."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from clips import Clip
from fleet_runs import CHECKOUT, Running, command, environment, framefleet, redis_server, running, slow, wait_until, write_clips
from flower_seen import FLOWER, Flower, flower

from broker import TASK
from broker.app import make_app
from broker.messages import message_id
from broker.queues import redis_of
from storage.job import open_job

FRAMES, CLIPS = 24, 2
LONG = Clip(frames=FRAMES, gop=1, seconds_between_frames=2, rate=10)
"""A clip that a slow engine takes long enough for, to be told of while it is worked."""
GRACE_SECONDS = 10


@dataclass
class Watched:
    """What Flower told of a job while a worker was slow, when it was told to leave, and when another had done its work."""

    broker: str
    job: str
    flower: Flower
    worker: Running
    going: Any
    waiting: dict[str, int]
    back: Any
    left: dict[str, bool]
    ended: dict[str, Any]

    @property
    def shards(self) -> set[str]:
        job = open_job(self.job)
        return {message_id(job.url, shard.shard_id) for shard in job.ledger().planned("")}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    place = tmp_path_factory.mktemp("watched")
    job, clips = place / "job", write_clips(place / "clips", CLIPS, LONG)
    env = slow(seconds=1.0) | {"FRAMEFLEET_GRACE_SECONDS": str(GRACE_SECONDS)}
    with ExitStack() as stack:
        broker = stack.enter_context(redis_server(place))
        page = stack.enter_context(flower(broker, place / "flower"))
        assert framefleet("launch", clips, "--out", job, "--engine", "scripted", "--broker", broker).status == 0
        with running(command("worker", "--broker", broker), place / "slow", env) as worker:
            wait_until(lambda: page.task(lambda task: "so far" in (task["result"] or "")), within_seconds=60)
            going, waiting = page.task(lambda task: "so far" in (task["result"] or "")), page.queues()
            worker.signal(signal.SIGTERM)
            assert worker.ended().status == 0
        wait_until(lambda: page.task(lambda task: task["state"] == "RETRY"), within_seconds=10)
        back, left = page.task(lambda task: task["state"] == "RETRY"), page.workers()
        quick = running(command("worker", "--broker", broker), place / "quick", {"FRAMEFLEET_ENGINE": "scripted"})
        worker = stack.enter_context(quick)
        wait_until(lambda: page.states() == ["SUCCESS"] * CLIPS)
        yield Watched(broker, f"file://{job}", page, worker, going, waiting, back, left, page.tasks())


def test_a_shard_is_named_after_its_job_and_says_how_far_it_is(watched: Watched) -> None:
    assert watched.going["uuid"] in watched.shards
    assert watched.going["name"] == TASK
    assert watched.going["args"] == f"{watched.job}, 1 video"
    assert watched.going["state"] == "STARTED"
    frames, _, rest = watched.going["result"].partition(" ")
    assert 0 < int(frames) < FRAMES
    assert rest in {"frames so far (decode)", "frames so far (caption)"}


def test_what_waits_is_what_the_broker_page_shows(watched: Watched) -> None:
    assert watched.waiting == {"framefleet": CLIPS - 1}
    assert watched.flower.queues() == {"framefleet": 0}
    assert "framefleet" in watched.flower.operator.get("/broker").text


def test_a_shard_that_is_handed_back_is_not_shown_as_started(watched: Watched) -> None:
    assert (watched.back["uuid"], watched.back["state"]) == (watched.going["uuid"], "RETRY")
    assert watched.back["result"] == "put back: This worker is told to end."
    assert list(watched.left.values()) == [False]


def test_at_the_end_each_shard_says_what_came_of_it(watched: Watched) -> None:
    assert watched.ended.keys() == watched.shards
    assert {task["result"] for task in watched.ended.values()} == {f"{FRAMES} frames of 1 video"}


def test_who_works_is_online(watched: Watched) -> None:
    wait_until(lambda: sorted(watched.flower.workers().values()) == [False, True], within_seconds=30)


def test_no_page_is_for_strangers_but_health_and_metrics(watched: Watched) -> None:
    stranger, wrong = watched.flower.stranger, ("operator", "a guess")
    for page in ("/", "/workers", "/tasks", "/broker", "/api/tasks", "/api/workers", f"/task/{watched.back['uuid']}"):
        assert stranger.get(page).status_code == 401
        assert stranger.get(page, auth=wrong).status_code == 401
        assert watched.flower.operator.get(page).status_code == 200
    assert stranger.get("/healthcheck").text == "OK"
    metrics = stranger.get("/metrics").text
    assert "flower_worker_online" in metrics
    assert watched.job not in metrics


def test_nothing_can_be_changed_with_or_without_the_password(watched: Watched) -> None:
    name = next(iter(watched.flower.workers()))
    task = watched.back["uuid"]
    changes = (
        f"/api/worker/shutdown/{name}",
        f"/api/worker/pool/restart/{name}",
        f"/api/worker/pool/grow/{name}",
        f"/api/worker/queue/cancel-consumer/{name}?queue=framefleet",
        f"/api/task/revoke/{task}?terminate=true",
        f"/api/task/async-apply/{TASK}",
        f"/api/task/send-task/{TASK}",
        f"/api/task/apply/{TASK}",
        f"/api/task/abort/{task}",
        f"/api/task/timeout/{TASK}",
        f"/api/task/rate-limit/{TASK}",
    )
    for change in changes:
        assert watched.flower.operator.post(change).status_code == 403, change
        assert watched.flower.stranger.post(change).status_code == 401, change
    assert watched.worker.family()
    assert watched.flower.queues() == {"framefleet": 0}


def test_events_stay_nowhere(watched: Watched) -> None:
    """They are published: what is left in Redis is what the fleet keeps itself, and where kombu's mailboxes are."""
    with redis_of(make_app(watched.broker)) as redis:
        keys = {key.decode() for key in redis.scan_iter(count=1000)}
        kept = {key for key in keys if not key.startswith(("framefleet", "claims", "_kombu.binding"))}
        assert kept == set()
        assert redis.scard("_kombu.binding.celeryev") <= 1


def test_nobody_is_let_in_where_nobody_said_who_may_look() -> None:
    for spoilt in ("", "operator", "operator:", ":secret", "operator:secret,"):
        words = [*FLOWER, "--broker", "redis://127.0.0.1:1/0"]
        env = environment({"FLOWER_BASIC_AUTH": spoilt})
        ended = subprocess.run(words, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 1
        assert ended.stderr.startswith("framefleet: Nobody said who may look: set FLOWER_BASIC_AUTH=user:password")
        assert "Traceback" not in ended.stderr


def test_it_loads_neither_engines_nor_decoders_nor_stores() -> None:
    heavy = {"av", "cv2", "numpy", "onnxruntime", "obstore", "boto3", "pyarrow", "vllm", "torch"}
    ask = f"import sys, fleet.flower, flower.command; fleet.flower.make_app('redis://'); print(sorted(sys.modules.keys() & {heavy}))"
    told = subprocess.run([sys.executable, "-c", ask], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
