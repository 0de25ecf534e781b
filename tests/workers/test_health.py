"""Files that say how a worker is."""

import os
import time
from pathlib import Path

import pytest
from fleet_runs import wait_until

from schemas.errors import FatalError
from workers.health import Health

LONG_AGO = 1_000_000.0


def age(folder: Path, *names: str) -> None:
    """Make files look old."""
    for name in names:
        os.utime(folder / name, (LONG_AGO, LONG_AGO))


def fresh(folder: Path, name: str) -> bool:
    return (folder / name).exists() and (folder / name).stat().st_mtime > time.time() - 60


@pytest.fixture
def health(tmp_path: Path):
    health = Health(tmp_path / "health", touch_seconds=0.02)
    yield health
    health.close()


@pytest.mark.usefixtures("health")
def test_a_worker_is_alive_before_it_is_ready(tmp_path: Path) -> None:
    folder = tmp_path / "health"
    assert fresh(folder, "alive")
    assert not (folder / "ready").exists()
    age(folder, "alive")
    wait_until(lambda: fresh(folder, "alive"), within_seconds=10)


def test_a_worker_is_ready_until_it_is_told_to_end_and_alive_beyond(health: Health, tmp_path: Path) -> None:
    folder = tmp_path / "health"
    health.ready()
    assert fresh(folder, "ready")
    age(folder, "ready")
    wait_until(lambda: fresh(folder, "ready"), within_seconds=10)
    health.unready()
    age(folder, "alive")
    wait_until(lambda: fresh(folder, "alive"), within_seconds=10)
    assert not (folder / "ready").exists()


@pytest.mark.usefixtures("health")
def test_progress_is_touched_while_nothing_is_at_work(tmp_path: Path) -> None:
    wait_until(lambda: fresh(tmp_path / "health", "progress"), within_seconds=10)


def test_progress_grows_old_where_work_does_not_get_on(tmp_path: Path) -> None:
    health = Health(tmp_path, touch_seconds=3600)
    with health.work():
        health._touch()
        age(tmp_path, "progress")
        health._touch()
        assert not fresh(tmp_path, "progress")
        assert fresh(tmp_path, "alive")
        health.moved()
        health._touch()
        assert fresh(tmp_path, "progress")
    health.close()


def test_what_a_worker_before_left_there_says_nothing_of_this_one(tmp_path: Path) -> None:
    for name in ("ready", "progress"):
        (tmp_path / name).touch()
    health = Health(tmp_path, touch_seconds=3600)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alive"]
    health.close()


def test_a_folder_that_cannot_be_written_is_told_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FatalError, match="FRAMEFLEET_HEALTH_FOLDER"):
        Health(tmp_path / "file")


def test_a_folder_that_goes_away_ends_no_worker(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "health"
    health = Health(folder, touch_seconds=0.02)
    (folder / "alive").unlink()
    wait_until((folder / "alive").exists, within_seconds=10)
    health.close()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    health._touch()
    assert "health files were not touched" in caplog.text


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    health = Health(None)
    health.ready()
    with health.work():
        health.moved()
    health.close()
    assert list(tmp_path.iterdir()) == []
