"""SIGTERM at any moment: out in time, nobody charged, nothing lost."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from fleet_runs import audited, command, framefleet, objects, redis_server, running, slow, wait_until, write_clips

from broker.app import make_app
from broker.queues import ShardQueue, redis_of
from broker.scripts import INDEX
from broker.trials import Trials
from storage.job import open_job
from workers.blackbox import VARIABLE, Step, steps_in

CLIPS, GRACE_SECONDS = 6, 10


@pytest.mark.parametrize("seed", range(3))
def test_a_worker_is_out_within_its_grace_and_leaves_everything_as_if_it_had_not_been_there(seed: int, tmp_path: Path) -> None:
    """The engine takes longer for a frame than the grace is, so that nothing can be finished and everything is broken off."""
    job, clips = tmp_path / "job", write_clips(tmp_path / "clips", CLIPS)
    with redis_server(tmp_path) as broker:
        assert framefleet("launch", clips, "--out", job, "--engine", "scripted", "--broker", broker).status == 0
        app = make_app(broker)
        env = slow(seconds=20) | {"FRAMEFLEET_GRACE_SECONDS": str(GRACE_SECONDS), "FRAMEFLEET_SHARDS_AT_ONCE": "4"}
        with running(command("worker", "--broker", broker), tmp_path / "said", env) as worker, redis_of(app) as redis:
            wait_until(lambda: worker.family() and redis.zcard(INDEX))
            time.sleep(random.Random(seed).uniform(0, 1.5))  # noqa: S311 - spreads moments, guards nothing
            worker.signal(signal.SIGTERM)
            assert worker.ended(within_seconds=GRACE_SECONDS).status == 0
            assert worker.left_behind() == []
            assert redis.zcard(INDEX) == 0
        assert Trials(app, f"file://{job}").attempts() == {}
        assert ShardQueue(app).depth() == CLIPS
        assert objects(job) == {}
        with running(command("worker", "--broker", broker), tmp_path / "next", {"FRAMEFLEET_ENGINE": "scripted"}):
            wait_until(lambda: len(objects(job)) == CLIPS)
    assert audited(job).frames == CLIPS * 8


def test_what_can_be_finished_within_the_grace_is_committed(tmp_path: Path) -> None:
    job, clips, box = tmp_path / "job", write_clips(tmp_path / "clips", CLIPS), tmp_path / "box"
    env = slow(seconds=0.5) | {VARIABLE: str(box)}
    with redis_server(tmp_path) as broker:
        assert framefleet("launch", clips, "--out", job, "--engine", "scripted", "--broker", broker).status == 0
        app = make_app(broker)
        with running(command("worker", "--broker", broker), tmp_path / "said", env) as worker:
            wait_until(lambda: worker.family() and in_work(box))
            [step] = in_work(box)
            worker.signal(signal.SIGTERM)
            assert worker.ended().status == 0
        assert open_job(str(job)).is_committed(step.shard_id, open_job(str(job)).spec())
        done = len(objects(job))
        assert 0 < done < CLIPS
        assert ShardQueue(app).depth() == CLIPS - done
        assert Trials(app, f"file://{job}").attempts() == {}


def in_work(box: Path) -> list[Step]:
    """The shards of which a worker has taken up a video; one whose video is not taken up is handed back by a worker that leaves."""
    return [step for step in steps_in(box) if step.place is not None]


def test_a_broker_that_is_frozen_keeps_no_worker_longer_than_its_grace(tmp_path: Path) -> None:
    job, clips = tmp_path / "job", write_clips(tmp_path / "clips", 1)
    with redis_server(tmp_path) as broker:
        assert framefleet("launch", clips, "--out", job, "--engine", "scripted", "--broker", broker).status == 0
        env = slow(seconds=60) | {"FRAMEFLEET_GRACE_SECONDS": str(GRACE_SECONDS)}
        with running(command("worker", "--broker", broker), tmp_path / "said", env) as worker, redis_of(make_app(broker)) as redis:
            wait_until(lambda: worker.family() and redis.zcard(INDEX))
            server = redis.info("server")["process_id"]
            os.kill(server, signal.SIGSTOP)
            try:
                worker.signal(signal.SIGTERM)
                assert worker.ended(within_seconds=GRACE_SECONDS).status == 0
                assert worker.left_behind() == []
            finally:
                os.kill(server, signal.SIGCONT)
