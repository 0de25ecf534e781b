"""Workers say how they are while they work, and status holds it against what their engine can do."""

import os
import signal
from pathlib import Path

import pytest
from fleet_runs import Running, command, framefleet, redis_server, running, slow, wait_until, write_clips

from broker.app import make_app
from fleet.status import BrokerStatus, broker_status
from storage.job import open_job

CLIPS, FRAMES = 3, 24
SLOW = slow(seconds=0.05) | {"FRAMEFLEET_SHARDS_AT_ONCE": "2", "FRAMEFLEET_GPU_DOLLARS_PER_HOUR": "1.8"}


def worked(job: Path, broker: str, worker: Running) -> BrokerStatus:
    """The only worker's status once all frames are delivered and told of."""
    app = make_app(broker)
    found = [broker_status(open_job(str(job)), app)]

    def told() -> bool:
        assert worker.family()
        found[0] = broker_status(open_job(str(job)), app)
        return [one.vitals.frames for one in found[0].workers] == [FRAMES]

    wait_until(told)
    app.close()
    return found[0]


def test_status_holds_a_worker_against_the_ceiling_of_its_engine(tmp_path: Path) -> None:
    env = SLOW | {"FRAMEFLEET_CEILING_DIR": str(tmp_path / "ceilings")}
    job, clips = tmp_path / "job", write_clips(tmp_path / "clips", CLIPS)
    ceiling = framefleet("bench", "engine", "--engine", "scripted", "--frames", 8, "--json", env=env).json["frames_per_second"]
    with redis_server(tmp_path) as broker:
        assert framefleet("launch", clips, "--out", job, "--engine", "scripted", "--broker", broker).status == 0
        with running(command("worker", "--engine", "scripted", "--broker", broker), tmp_path / "said", env) as worker:
            assert_told(worked(job, broker, worker), ceiling)
            words = framefleet("status", job, "--broker", broker).out
            worker.signal(signal.SIGTERM)
            assert worker.ended().status == 0
        gone = framefleet("status", job, "--broker", broker, "--json").json["broker"]
    assert "  all workers (1): " in words
    assert "% of the ceiling)" in words
    assert "framefleet bench engine" not in words
    assert (gone["workers"], gone["together"]) == ([], None)


def assert_told(found: BrokerStatus, ceiling: float) -> None:
    [one] = found.workers
    vitals, efficiency = one.vitals, one.efficiency
    assert found.together == efficiency
    assert vitals.worker.startswith(f"{os.uname().nodename}:")
    assert (vitals.engine, vitals.captioned, vitals.rungs) == ("scripted", FRAMES, {"constrained": {"accepted": FRAMES}})
    assert (vitals.questions, vitals.ceiling_frames_per_second, vitals.dollars_per_hour) == (FRAMES, ceiling, 1.8)
    assert vitals.window >= 1
    at_work = vitals.seconds_at_work
    assert at_work >= FRAMES * 0.05  # its engine answers one question at a time
    assert efficiency.ceiling_share_since_start == pytest.approx(FRAMES / at_work / ceiling)
    assert efficiency.gpu_seconds_per_frame == pytest.approx(at_work / FRAMES)
    assert efficiency.dollars_per_million_frames == pytest.approx(1e6 * at_work / FRAMES * 1.8 / 3600)
