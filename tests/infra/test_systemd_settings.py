"""The unit for machines of one's own names settings that exist and a command that is there, and leaves it the time to end."""

import re
import shlex
from pathlib import Path

import pytest
from command_lines import SETTINGS, understands

from workers.settings import WorkerSettings

UNIT = Path(__file__).parents[2] / "infra" / "systemd" / "framefleet-worker.service"


def said(name: str) -> list[str]:
    """What the unit says of one key, each time it does."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_its_variables_are_settings_and_the_grace_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = dict(pair.split("=", 1) for line in said("Environment") for pair in shlex.split(line))
    ours = {name for name in variables if name.startswith("FRAMEFLEET_")}
    assert ours
    assert ours <= SETTINGS
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = WorkerSettings()
    [stop], [runtime], [cache] = said("TimeoutStopSec"), said("RuntimeDirectory"), said("CacheDirectory")
    assert int(stop) >= settings.grace_seconds + 10
    assert str(settings.health_folder) == f"/run/{runtime}"
    assert variables["HOME"] == f"/var/cache/{cache}"


def test_its_command_exists() -> None:
    [line] = said("ExecStart")
    program, *words = shlex.split(line)
    assert program.endswith("/bin/framefleet")
    understands(words)
