"""What no crash may do: lose a frame, double a frame, or leave a process behind."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from fleet_runs import Running, audited, command, frame_ids, framefleet, objects, running, slow, wait_until, words_of, write_clips

from broker.scripts import INDEX

CLIPS = 8


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"), CLIPS)


@pytest.fixture(scope="module")
def undisturbed(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The frames of a run that nothing happened to."""
    job = tmp_path_factory.mktemp("undisturbed")
    assert framefleet("caption", clips, "--out", job, "--engine", "scripted", "--workers", 1).status == 0
    return frame_ids(job)


@pytest.fixture
def half_done(clips: Path, tmp_path: Path) -> Iterator[Running]:
    """A run of which some but not all shards are committed; its job is `tmp_path / "job"`."""
    job = tmp_path / "job"
    words = command("caption", clips, "--out", job, "--engine", "scripted")
    with running(words, tmp_path / "said", slow(seconds=0.3)) as run:
        wait_until(lambda: run.family() and len(objects(job)) >= 2)
        yield run


def claimed(run: Running) -> int:
    """How many shards the workers of a run are at, as its private broker says."""
    workers = run.workers()
    if not workers:
        return 0
    socket = workers[0].environ().get("FRAMEFLEET_BROKER_URL", "").removeprefix("redis+socket://")
    try:
        with redis.Redis(unix_socket_path=socket) as client:
            return int(client.zcard(INDEX))
    except redis.ConnectionError:
        return 0


def finish(clips: Path, job: Path) -> list[str]:
    """Run the same command again, fast; return the job's frames."""
    ended = framefleet("caption", clips, "--out", job, "--engine", "scripted", "--workers", 1)
    assert ended.status == 0, ended.said
    assert audited(job).videos == CLIPS
    return frame_ids(job)


def test_a_killed_run_leaves_no_process_and_goes_on_where_it_stopped(
    half_done: Running, clips: Path, tmp_path: Path, undisturbed: list[str]
) -> None:
    names = [" ".join(words_of(process)) for process in half_done.family()]
    assert sum("redis-server" in name for name in names) == 1
    assert len(half_done.workers()) == 2
    half_done.kill()
    assert half_done.left_behind() == []
    before = objects(tmp_path / "job")
    assert 2 <= len(before) < CLIPS
    assert finish(clips, tmp_path / "job") == undisturbed
    assert before.items() <= objects(tmp_path / "job").items()


def test_a_killed_worker_costs_nothing_but_time(half_done: Running, tmp_path: Path, undisturbed: list[str]) -> None:
    half_done.workers()[0].kill()
    ended = half_done.ended()
    assert ended.status == 0, ended.said
    assert half_done.left_behind() == []
    assert audited(tmp_path / "job").duplicates == 0
    assert frame_ids(tmp_path / "job") == undisturbed


def test_a_run_that_loses_its_broker_says_so_and_can_go_on(half_done: Running, clips: Path, tmp_path: Path, undisturbed: list[str]) -> None:
    broker = next(process for process in half_done.family() if "redis-server" in "".join(words_of(process)[:1]))
    broker.kill()
    ended = half_done.ended()
    assert ended.status == 1
    assert "broker" in ended.err
    assert half_done.left_behind() == []
    assert finish(clips, tmp_path / "job") == undisturbed


def test_an_interrupted_run_finishes_what_it_has_begun_and_can_go_on(
    half_done: Running, clips: Path, tmp_path: Path, undisturbed: list[str]
) -> None:
    before = len(objects(tmp_path / "job"))
    half_done.signal(signal.SIGINT)
    ended = half_done.ended()
    assert ended.status == 130
    assert "run the same command again" in ended.err
    assert half_done.left_behind() == []
    assert before <= len(objects(tmp_path / "job")) < CLIPS
    assert finish(clips, tmp_path / "job") == undisturbed


def test_a_second_interrupt_does_not_wait_for_the_engine(clips: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    words = command("caption", clips, "--out", job, "--engine", "scripted")
    with running(words, tmp_path / "said", slow(seconds=600)) as run:
        wait_until(lambda: claimed(run) == 2)
        run.signal(signal.SIGINT)
        wait_until(lambda: "draining" in (tmp_path / "said" / "stderr").read_text())
        run.signal(signal.SIGINT)
        ended = run.ended(within_seconds=60)
        assert ended.status == 130
        assert run.left_behind() == []
    assert objects(job) == {}
