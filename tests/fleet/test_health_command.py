"""`framefleet health`: what a probe is told, and that it is told at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fleet_runs import CHECKOUT, environment

from fleet.health import run

HEAVY = {"celery", "typer", "pydantic", "redis", "numpy", "storage", "broker", "workers", "producer", "schemas", "rich", "boto3"}


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRAMEFLEET_HEALTH_FOLDER", raising=False)


@pytest.mark.parametrize("what", ["alive", "ready", "progress"])
def test_a_file_that_was_touched_lately_is_health(what: str, tmp_path: Path) -> None:
    (tmp_path / what).touch()
    assert run([what, "--within", "60", "--folder", str(tmp_path)]) == 0


def test_a_file_that_is_too_old_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "alive").touch()
    os.utime(tmp_path / "alive", (1e6, 1e6))
    assert run(["alive", "--within", "60", "--folder", str(tmp_path)]) == 1
    assert "more than 60 s" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["ready", "--folder", str(tmp_path)]) == 1
    assert f"not ready: {tmp_path / 'ready'} cannot be looked at" in capsys.readouterr().err


def test_whoever_names_no_folder_is_told_where_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["alive"]) == 1
    assert "FRAMEFLEET_HEALTH_FOLDER" in capsys.readouterr().err


def test_the_folder_is_the_workers_own_by_its_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alive").touch()
    monkeypatch.setenv("FRAMEFLEET_HEALTH_FOLDER", str(tmp_path))
    assert run(["alive"]) == 0


def test_a_word_that_is_no_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        run(["happy"])
    assert refused.value.code == 2
    assert "alive" in capsys.readouterr().err


def test_a_probe_imports_nothing_that_takes_long(tmp_path: Path) -> None:
    (tmp_path / "alive").touch()
    script = (
        "import sys\n"
        f"sys.argv = ['framefleet', 'health', 'alive', '--folder', {str(tmp_path)!r}]\n"
        "from fleet.entry import main\n"
        "try:\n    main()\n"
        "except SystemExit as ended:\n    print(ended.code, *(name for name in sys.modules if '.' not in name))"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, env=environment(), capture_output=True, text=True, check=True)
    status, *loaded = ended.stdout.split()
    assert status == "0"
    assert HEAVY & set(loaded) == set()
