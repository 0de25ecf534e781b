"""systemd reads the unit without a word, on a file system that has the program and the targets it speaks of."""

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "infra" / "systemd" / "framefleet-worker.service"
TARGETS = ("sysinit", "basic", "shutdown", "network-online", "multi-user")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    program, units = tmp_path / "opt/framefleet/bin/framefleet", tmp_path / "etc/systemd/system"
    for folder in (program.parent, units):
        folder.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for target in TARGETS:
        (units / f"{target}.target").write_text("[Unit]\n")
    shutil.copy(UNIT, units)
    return tmp_path


def verified(root: Path, unit: str = UNIT.name) -> tuple[int, str]:
    words = [shutil.which("systemd-analyze") or "systemd-analyze", "verify", "--man=no", f"--root={root}", unit]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def test_systemd_finds_nothing_wrong(root: Path) -> None:
    assert verified(root) == (0, "")


@pytest.mark.parametrize(("right", "wrong"), [("KillMode=", "KilMode="), ("/opt/framefleet/bin/framefleet", "/opt/nowhere")])
def test_systemd_would_say_what_is_wrong(root: Path, right: str, wrong: str) -> None:
    bad = root / "etc/systemd/system/bad.service"
    bad.write_text(UNIT.read_text(encoding="utf-8").replace(right, wrong))
    assert verified(root, bad.name)[1]
