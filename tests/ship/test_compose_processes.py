"""The compose file's programs, with its very words and variables, do a job as its README tells, and Prometheus and Flower see it.

Without containers: processes in a network of their own, in which services are found by their names. See `compose_world`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from compose_ground import NAMESPACES
from compose_world import CHOSEN, REPLICAS
from composed import FOLDER
from fleet_runs import CHECKOUT, write_clips

pytestmark = pytest.mark.timeout(600)
CLIPS = 6


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("compose")
    write_clips(folder / "videos", CLIPS)
    world = Path(__file__).with_name("compose_world.py")
    path = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "tests")])
    ended = subprocess.run(
        [*NAMESPACES, sys.executable, world, folder],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=580,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found


def test_promtool_finds_nothing_wrong(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (tmp_path / "prometheus.yml").write_bytes((FOLDER / "prometheus.yml").read_bytes())
    (rules / "framefleet.yaml").write_bytes((FOLDER.parent / "helm" / "framefleet" / "rules" / "framefleet.yaml").read_bytes())
    words = [shutil.which("promtool") or "promtool", "check", "config", tmp_path / "prometheus.yml"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_what_the_readme_tells_ends_well(seen: dict[str, Any]) -> None:
    for what in ("put", "launch", "audit", "read"):
        status, said = seen[what]
        assert status == 0, said
    assert seen["put"][1].count("s3://videos/") == CLIPS
    assert f"{CLIPS} videos" in seen["audit"][1]
    assert not [secret for secret in CHOSEN.values() for what in ("put", "launch", "audit") if secret in seen[what][1]]


def test_prometheus_reaches_every_target_and_each_worker(seen: dict[str, Any]) -> None:
    one = ["up"]
    assert seen["targets"] == {
        "framefleet-worker": one * REPLICAS["worker"],
        "framefleet-metrics": one,
        "framefleet-flower": one,
        "prometheus": one,
    }


def test_prometheus_counts_the_frames_that_are_in_the_lines(seen: dict[str, Any]) -> None:
    assert seen["frames"]["counted"] == seen["frames"]["read"] > 0


def test_prometheus_is_told_of_the_job_and_of_its_audit(seen: dict[str, Any]) -> None:
    assert seen["job"] == {"up": 1, "planned_videos": CLIPS, "committed_videos": CLIPS, "audit_clean": 1}
    assert seen["broker_up"] == 1


def test_every_rule_is_evaluated_without_an_error(seen: dict[str, Any]) -> None:
    assert seen["rules"] == {}
    assert seen["rules_evaluated"] > 0


def test_flower_shows_the_tasks_to_whom_it_knows(seen: dict[str, Any]) -> None:
    flower = seen["flower"]
    assert flower["stranger"] == 401
    assert set(flower["states"]) == {"SUCCESS"}
    assert flower["told"] == len(flower["states"]) > 0


def test_whoever_is_told_to_end_does_so_in_time_and_well(seen: dict[str, Any]) -> None:
    assert seen["ends"] == {"worker": [0] * REPLICAS["worker"], "metrics": [0], "redis": [0]}
