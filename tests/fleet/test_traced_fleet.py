"""A launch and a real worker, traced from the command to the commit of a shard."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from clips import Clip, make
from fleet_runs import audited, command, framefleet, redis_server, running, wait_until
from span_receiver import Received, span_receiver

from fleet.audit import audit
from storage.job import open_job

FRAMES = 4


@pytest.fixture
def receiver() -> Iterator[Received]:
    with span_receiver() as received:
        yield received


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name in ("good", "fine"):
        (folder / f"{name}.mp4").write_bytes(make(Clip(frames=FRAMES, gop=1, seconds_between_frames=2)))  # type: ignore[arg-type]
    (folder / "bad.mp4").write_bytes(make(Clip())[:-1500])
    return folder


def test_a_real_worker_tells_each_shard_from_the_launch_to_the_commit(receiver: Received, clips: Path, tmp_path: Path) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "FRAMEFLEET_LOG_FORMAT": "json", "FRAMEFLEET_GRACE_SECONDS": "25"}
    job = tmp_path / "job"
    with redis_server(tmp_path) as broker:
        words = ("launch", clips, "--out", job, "--engine", "scripted", "--broker", broker, "--videos-per-shard", 3)
        assert framefleet(*words, env=env).status == 0
        with running(command("worker", "--engine", "scripted", "--broker", broker), tmp_path / "said", env) as worker:
            wait_until(lambda: worker.family() and audit(open_job(str(job))).complete)
            worker.signal(signal.SIGTERM)
            ended = worker.ended()
    assert ended.status == 0, ended.err
    assert audited(job).frames == 2 * FRAMES
    [launched], [root] = receiver.named("framefleet launch"), receiver.named("process framefleet")
    assert root.links == (launched.trace_id,)
    below = {name: set(stages) for name, stages in receiver.tree(root).items()}
    whole = {"fetch", "decode", "caption", "validate"}
    assert (below["good.mp4"], below["fine.mp4"], below["commit"]) == (whole, whole, set())
    [bad] = [span for span in receiver.below(root) if span.failed]
    assert (bad.attributes["framefleet.reason"], bad.attributes["framefleet.outcome"]) == ("truncated", "dead")
    captions = [span.attributes["framefleet.stage.times"] for span in receiver.named("caption")]
    assert captions == [FRAMES] * 2
    lines = [json.loads(line) for line in ended.err.splitlines()]
    [committed] = [line for line in lines if line["event"].startswith("committed")]
    assert (committed["trace_id"], committed["span_id"]) == (root.trace_id, root.span_id)
    assert {line["trace_id"] for line in lines if line.get("shard")} == {root.trace_id}
