"""The main job on the real engine: its worker processes, its deaths and its refusals."""

import json
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from clips import Clip
from fleet_runs import (
    Running,
    audited,
    command,
    framefleet,
    letters,
    objects,
    records,
    redis_server,
    running,
    wait_until,
    words_of,
    write_clips,
)
from hosted import SCHEMA, SMALL

from broker.app import make_app
from broker.progress import faults

CLIPS, FRAMES = 10, 5
START_SECONDS = 120.0
"""Patience with a worker that loads a model on a busy machine."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"), CLIPS, Clip(frames=FRAMES, gop=1, seconds_between_frames=2))  # type: ignore[arg-type]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    with redis_server(tmp_path) as url:
        yield url


def recipe(folder: Path, schema: Mapping[str, object] = SCHEMA, *, max_tokens: int = 200) -> Path:
    """A recipe for the tiny model."""
    (folder / "answer.json").write_text(json.dumps(schema))
    (folder / "tiny.toml").write_text(
        f'name = "tiny"\nanswer_file = "answer.json"\n[model]\nname = "tiny-gemma3"\nrevision = "1"\n'
        f'[prompt]\nshort_text = "You describe pictures."\nlong_text = "Say what is in the picture, as JSON."\n'
        f"[sampling]\ntemperature = 1.0\nmax_tokens = {max_tokens}\n[image]\nmax_width = 128\nmax_height = 128\n"
    )
    return folder / "tiny.toml"


def hosting(model: Path, named: Path, broker: str | None = None) -> dict[str, str]:
    """The environment of a worker that hosts a tiny model."""
    own = {"ENGINE": "vllm", "RECIPE": str(named), "VLLM_MODEL": str(model), "VLLM_ARGS": json.dumps(SMALL)}
    return {f"FRAMEFLEET_{name}": value for name, value in (own | ({"BROKER_URL": broker} if broker else {})).items()}


def core_of(worker: Running) -> psutil.Process | None:
    return next((process for process in worker.family() if words_of(process)[:1] == ["VLLM::EngineCore"]), None)


@pytest.mark.parametrize("weights", ["gemma3", "gemma3_fp8"])
def test_all_answers_of_a_job_are_valid(weights: str, clips: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    named = recipe(tmp_path)
    words = command("caption", clips, "--out", tmp_path / "job", "--engine", "vllm", "--recipe", named)
    with running(words, tmp_path / "said", hosting(request.getfixturevalue(weights), named)) as run:
        ended = run.ended(within_seconds=2 * START_SECONDS)
        assert ended.status == 0, ended.said
        assert run.left_behind() == []
    assert audited(tmp_path / "job").frames == CLIPS * FRAMES
    found = records(tmp_path / "job")
    assert {record.usage.rung for record in found} == {"constrained"}
    assert {record.versions["engine"] for record in found} == {"vllm"}
    assert len({json.dumps(record.annotation) for record in found}) > 1


def test_a_dead_engine_costs_no_frame_and_its_worker_says_so_by_its_status(gemma3: Path, clips: Path, broker: str, tmp_path: Path) -> None:
    job, named = tmp_path / "job", recipe(tmp_path, max_tokens=200)
    assert framefleet("launch", clips, "--out", job, "--engine", "vllm", "--recipe", named, "--broker", broker).status == 0
    env = hosting(gemma3, named, broker)
    with running(command("worker", "--engine", "vllm"), tmp_path / "first", env | {"FRAMEFLEET_SHARDS_AT_ONCE": "1"}) as worker:
        wait_until(lambda: worker.family() and objects(job), within_seconds=START_SECONDS)
        core = core_of(worker)
        assert core
        core.kill()
        assert worker.status(within_seconds=20) == 5
        assert worker.left_behind() == []
    assert any("engine's process died" in fault for fault in faults(make_app(broker)))
    assert not letters(job)
    with running(command("worker", "--engine", "vllm"), tmp_path / "second", env) as worker:
        wait_until(lambda: worker.family() and len(objects(job)) == CLIPS, within_seconds=START_SECONDS)
        worker.signal(signal.SIGKILL)
        assert worker.left_behind() == []  # nobody holds the accelerator for a worker that is no more
    assert audited(job).frames == CLIPS * FRAMES


def test_a_worker_whose_grammar_does_not_compile_does_not_start(gemma3: Path, broker: str, tmp_path: Path) -> None:
    unheard = {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=x)y"}}, "required": ["a"]}
    env = hosting(gemma3, recipe(tmp_path, unheard), broker)
    with running(command("worker", "--engine", "vllm"), tmp_path / "said", env) as worker:
        ended = worker.ended(within_seconds=START_SECONDS)
    assert ended.status == 4
    assert "this worker cannot start: vLLM cannot" in ended.err
    assert "recipe" in ended.err
