"""Prometheus's own tool takes the rules and the configuration, and shows each alert firing, and silent in the nearest innocent case."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_server import configuration, found
from queries import CHECKOUT, RULES

UNIT_TESTS = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))
COMPOSE = CHECKOUT / "infra" / "compose" / "prometheus.yml"


def promtool(*words: object) -> str:
    """Run it; what it complains of fails the test."""
    ended = subprocess.run([found("promtool"), *map(str, words)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", path)


def test_the_rules_are_valid_and_none_is_there_twice() -> None:
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    assert f"{sum(len(group['rules']) for group in groups)} rules found" in said


def test_a_prometheus_takes_them_in_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(configuration(RULES, ["127.0.0.1:9100"]), encoding="utf-8")
    assert "SUCCESS" in promtool("check", "config", "--lint=all", "--lint-fatal", tmp_path / "prometheus.yml")


def test_the_configuration_of_the_compose_file_is_valid_with_them(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    shutil.copy(COMPOSE, tmp_path)
    shutil.copy(RULES, tmp_path / "rules")
    assert "1 rule files found" in promtool("check", "config", "--lint=all", "--lint-fatal", tmp_path / COMPOSE.name)
