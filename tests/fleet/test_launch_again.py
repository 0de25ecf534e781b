"""Launching a job again whose plan stands, in ways that cannot go on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import line
from fleet_runs import Ended, framefleet, redis_server

from broker.app import make_app
from broker.queues import ShardQueue
from storage.job import open_job


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twenty videos, as far as a producer can tell."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:02}.mp4").write_bytes(b"a film")
    return folder


def launch(source: Path, job: Path, broker: str, *more: object) -> Ended:
    return framefleet("launch", source, "--out", job, "--engine", "scripted", "--broker", broker, *more)


def in_flight(broker: str, job: Path) -> int:
    app = make_app(broker)
    try:
        return len(ShardQueue(app).in_flight(open_job(str(job)).url))
    finally:
        app.close()


def test_a_source_that_is_gone_leaves_the_plan_enqueued_and_says_so(source: Path, tmp_path: Path, broker: str) -> None:
    assert launch(source, tmp_path / "job", broker).status == 0
    planned = in_flight(broker, tmp_path / "job")
    source.rename(tmp_path / "elsewhere")
    ended = launch(source, tmp_path / "job", broker)
    assert ended.status == 1
    assert f"There is no source {source}" in ended.err
    assert f"The plan of file://{tmp_path}/job stands: its 20 videos are enqueued or done." in ended.err
    assert "Once the source can be read, run this again to look for new ones" in ended.err
    assert in_flight(broker, tmp_path / "job") == planned > 0


def test_a_source_that_was_never_there_is_no_plan_to_speak_of(tmp_path: Path, broker: str) -> None:
    ended = launch(tmp_path / "nowhere", tmp_path / "job", broker)
    assert ended.status == 1
    assert "There is no source" in ended.err
    assert "plan" not in ended.err
    assert not (tmp_path / "job").exists()


def test_an_older_recipe_is_refused_with_the_one_that_the_job_went_on_to(source: Path, tmp_path: Path, broker: str) -> None:
    assert launch(source, tmp_path / "job", broker).status == 0
    job, spec = open_job(str(tmp_path / "job")), open_job(str(tmp_path / "job")).spec()
    before = [task for part in job.ledger().parts() for task in part.shards]
    assert before
    assert all(job.commit(task, [line(task, place=place) for place in range(len(task.videos))], spec) for task in before)
    assert launch(source, tmp_path / "job", broker, "--only-stale", "--every", 9).status == 0
    ended = launch(source, tmp_path / "job", broker)
    assert ended.status == 1
    assert f"ask with the latest, vidcap-12b ({job.latest_spec().recipe_id}), or use another output" in ended.err
    assert "--only-stale" not in ended.err
    assert launch(source, tmp_path / "job", broker, "--every", 9).status == 0
