import io
from pathlib import Path

import pytest
from builders import RECIPE
from fleet_runs import framefleet
from rich.console import Console

from fleet.bench import recipe_name, rows
from fleet.report import print_rows
from schemas.recipe import load_recipe
from workers.ceiling import Ceiling, Ceilings
from workers.machine import machine_words

LATENCY_SECONDS, CONCURRENCY = 0.05, 4


def bench(folder: Path, *options: object, **env: str):
    settings = {
        "FRAMEFLEET_CEILING_DIR": str(folder),
        "FRAMEFLEET_SCRIPTED_LATENCY_SECONDS": str(LATENCY_SECONDS),
        "FRAMEFLEET_SCRIPTED_CONCURRENCY": str(CONCURRENCY),
    }
    return framefleet("bench", "engine", "--engine", "scripted", "--frames", 16, *options, env=settings | env)


def test_a_bench_stores_what_workers_will_look_for(tmp_path: Path) -> None:
    ended = bench(tmp_path, "--json", "--price", 2)
    assert ended.status == 0, ended.said
    [path] = tmp_path.iterdir()
    shown = ended.json
    assert Path(shown.pop("stored_in")) == path
    dollars = shown.pop("dollars_per_million_frames")
    ceiling = Ceiling.model_validate(shown)
    assert ceiling == Ceilings(str(tmp_path)).find(load_recipe("vidcap-12b"), engine="scripted", machine=machine_words())
    assert (ceiling.frames, ceiling.answer_tokens, ceiling.in_flight) == (16, 250, 5)
    assert 0 < ceiling.frames_per_second < 1.4 * CONCURRENCY / LATENCY_SECONDS
    assert dollars == pytest.approx(1e6 / ceiling.frames_per_second * 2 / 3600)


def test_a_bench_prints_one_small_table_with_hardware_and_versions(tmp_path: Path) -> None:
    ended = bench(tmp_path, "--answer-tokens", 99, FRAMEFLEET_GPU_DOLLARS_PER_HOUR="1.5")
    assert ended.status == 0, ended.said
    lines = dict(line.split("\t") for line in ended.out.splitlines() if "\t" in line)
    assert (lines["engine"], lines["machine"], lines["picture"]) == ("scripted", machine_words(), "896 x 896")
    assert lines["versions"] == "engine scripted"
    assert lines["$ per million frames"].endswith(" at 1.5 $ an hour")
    assert f"stored in {tmp_path}" in ended.out


def test_the_recipe_is_the_one_asked_for_or_the_one_that_goes_with_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAMEFLEET_RECIPE", "mine.toml")
    assert [recipe_name(engine, None) for engine in ("vllm", "opencv", "scripted")] == ["mine.toml", "opencv", "vidcap-12b"]
    assert recipe_name("vllm", "other.toml") == "other.toml"


def test_an_engine_that_does_not_answer_is_an_error_in_a_sentence(tmp_path: Path) -> None:
    ended = framefleet("bench", "engine", "--engine", "opencv", "--recipe", "vidcap-12b", env={"FRAMEFLEET_CEILING_DIR": str(tmp_path)})
    assert ended.status == 1
    assert "framefleet: The opencv engine is no" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_table_on_a_terminal_shows_tokens_where_they_are_known() -> None:
    ceiling = Ceiling.model_validate(
        {
            "engine": "vllm",
            "model": RECIPE.model,
            "image": RECIPE.image,
            "machine": "NVIDIA H200, 16 CPUs",
            "recipe": "test",
            "recipe_id": "r",
            "answer_tokens": 250,
            "in_flight": 320,
            "frames": 1024,
            "seconds": 51.2,
            "frames_per_second": 20.0,
            "prompt_tokens_per_second": 20000.0,
            "cached_tokens_per_second": 14000.0,
            "output_tokens_per_second": 5000.0,
            "versions": {"engine": "vllm", "vllm": "0.32.0"},
            "measured_at": "2026-01-02T00:00:00Z",
        }
    )
    file = io.StringIO()
    console = Console(file=file, width=120, force_terminal=True, no_color=True)
    print_rows(console, ("engine alone", "measured"), rows(ceiling, 27.8, 2.0))
    for words in ("20.000 (1024 frames in 51.20 s, 320 in flight)", "27.80 at 2 $ an hour", "20000, 70% out of the prefix cache"):
        assert words in file.getvalue()
    assert "5000, 250.0 an answer of 250 asked" in file.getvalue()
