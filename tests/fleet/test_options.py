import inspect
import os
from pathlib import Path

import pytest
import typer
from builders import film, new_store
from typer.testing import CliRunner

from fleet import options as o
from schemas.errors import OperatorError
from schemas.job import Selection
from schemas.recipe import KeyframePolicy, load_recipe


def test_a_command_gets_the_shared_options_before_its_own() -> None:
    @o.asks
    def command(asked: o.Asked, broker: o.Broker, workers: o.Workers = 2) -> None:
        """Say what."""

    shared = list(inspect.signature(o.Asked).parameters)
    signature = inspect.signature(command)
    assert list(signature.parameters) == [*shared, "broker", "workers"]
    assert {parameter.kind for parameter in signature.parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert signature.parameters["workers"].default == 2
    assert signature.parameters["engine"].default == "opencv"
    assert signature.parameters["sources"].default is inspect.Parameter.empty
    assert command.__doc__ == "Say what."


def test_a_command_is_called_with_what_was_asked_and_with_its_own() -> None:
    seen: list[tuple[o.Asked, int]] = []

    @o.asks
    def command(asked: o.Asked, workers: o.Workers = 2) -> None:
        seen.append((asked, workers))

    command(sources=["clips"], dest="out", limit=3, workers=5)
    assert seen == [(o.Asked(sources=["clips"], dest="out", limit=3), 5)]


def test_the_shared_options_reach_a_command_line() -> None:
    app, seen = typer.Typer(), []

    @app.command()
    @o.asks
    def caption(asked: o.Asked, workers: o.Workers = 2) -> None:
        seen.append((asked, workers))

    words = ["clips", "--out", "run", "--include", "*.mp4", "--include", "x/*", "--every", "0", "--all-files", "--workers", "3"]
    words += ["--scenes", "27", "--skip-duplicates", "8"]
    ended = CliRunner().invoke(app, [*words, "--max-size", "9", "--compression", "zst", "--engine", "scripted"])
    assert ended.exit_code == 0, ended.output
    asked = o.Asked(
        sources=["clips"],
        dest="run",
        engine="scripted",
        include=["*.mp4", "x/*"],
        every=0.0,
        scenes=27.0,
        skip_duplicates=8.0,
        all_files=True,
        max_size=9,
        compression="zst",
    )
    assert seen == [(asked, 3)]


@pytest.mark.parametrize(
    "words",
    [
        ["--out", "run"],
        ["clips"],
        ["clips", "--out", "run", "--every", "-1"],
        ["clips", "--out", "r", "--limit", "-1"],
        ["clips", "--out", "r", "--scenes", "-1"],
        ["clips", "--out", "r", "--scenes", "much"],
        ["clips", "--out", "r", "--skip-duplicates", "256"],
    ],
)
def test_a_command_line_that_asks_nonsense_is_refused(words: list[str]) -> None:
    app = typer.Typer()

    @app.command()
    @o.asks
    def caption(asked: o.Asked) -> None:
        raise AssertionError(asked)

    assert CliRunner().invoke(app, words).exit_code == 2


def test_what_was_asked_becomes_the_jobs_spec() -> None:
    source, run = new_store(), new_store("run")
    film(source, "a.mp4")
    asked = o.Asked(sources=[source.url], dest=run.url, every=0, max_frames=3, include=["*.mp4"], min_size=1, limit=2, videos_per_shard=4)
    job, spec = asked.job()
    assert (job.url, spec.source, spec.videos_per_shard) == (run.url, source.url, 4)
    assert spec.selection == Selection(include=("*.mp4",), min_size_bytes=1, limit=2)
    assert (spec.recipe.name, spec.recipe.keyframes.min_gap_seconds, spec.recipe.keyframes.max_per_video) == ("opencv", 0, 3)
    assert spec.recipe_id == spec.recipe.recipe_id
    assert job.spec() == spec


def test_a_mistyped_source_does_not_claim_the_output() -> None:
    run = new_store("run")
    asked = o.Asked(sources=[new_store().url], dest=run.url)
    with pytest.raises(OperatorError, match="has no videos"):
        asked.job()
    assert list(run.list()) == []


def test_a_job_goes_on_although_its_source_is_empty_by_now() -> None:
    source, run = new_store(), new_store("run")
    film(source, "a.mp4")
    asked = o.Asked(sources=[source.url], dest=run.url)
    _, first = asked.job()
    source._objects.clear()
    assert asked.job()[1] == first


@pytest.mark.parametrize(("engine", "recipe"), [("opencv", "opencv"), ("openai", "vidcap-12b"), ("scripted", "vidcap-12b")])
def test_every_engine_has_its_recipe(engine: o.EngineName, recipe: str) -> None:
    assert o.recipe_of(None, engine, every=None, max_frames=None) == load_recipe(recipe)


def test_a_recipe_that_is_asked_for_goes_before_the_engines_own() -> None:
    assert o.recipe_of("opencv", "openai", every=None, max_frames=None).name == "opencv"


def test_zero_is_asked_for_and_none_is_not() -> None:
    policy = o.recipe_of(None, "opencv", every=0, max_frames=None).keyframes
    assert (policy.min_gap_seconds, policy.max_per_video) == (0, 64)


def test_scenes_and_duplicates_may_be_asked_for_and_taken_back(tmp_path: Path) -> None:
    asked = o.recipe_of("opencv", "opencv", scenes=27, skip_duplicates=8)
    assert asked.keyframes == KeyframePolicy(scene_threshold=27, duplicate_distance=8)
    text = (Path(o.__file__).parents[1] / "schemas" / "recipes" / "opencv.toml").read_text()
    (tmp_path / "both.toml").write_text(text.replace("[keyframes]", "[keyframes]\nscene_threshold = 27\nduplicate_distance = 8"))
    both = str(tmp_path / "both.toml")
    assert asked.recipe_id == load_recipe(both).recipe_id != load_recipe("opencv").recipe_id
    assert o.recipe_of(both, "opencv", scenes=0, skip_duplicates=0).recipe_id == load_recipe("opencv").recipe_id
    assert o.recipe_of(both, "opencv", scenes=0).keyframes.duplicate_distance == 8


def test_whole_numbers_ask_for_the_same_as_decimal_ones() -> None:
    assert o.recipe_of(None, "opencv", every=5, scenes=27).recipe_id == o.recipe_of(None, "opencv", every=5.0, scenes=27.0).recipe_id


def test_the_command_lines_policy_and_the_files_make_one_recipe(tmp_path: Path) -> None:
    text = (Path(o.__file__).parents[1] / "schemas" / "recipes" / "opencv.toml").read_text().replace("2.0", "5")
    (tmp_path / "five.toml").write_text(text)
    asked = o.recipe_of("opencv", "opencv", every=5.0, max_frames=None)
    assert asked.recipe_id == load_recipe(str(tmp_path / "five.toml")).recipe_id


def test_an_engine_is_known_by_the_recipe_made_for_it() -> None:
    assert [o.engine_for(load_recipe(name)) for name in ("opencv", "vidcap-12b")] == ["opencv", "openai"]


def test_places_are_made_to_be_understood_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert o.absolute("run/../clips") == str(tmp_path / "clips")
    assert [o.absolute(place) for place in ("-", "s3://b/x", "file:///x")] == ["-", "s3://b/x", "file:///x"]


def test_a_workers_environment_says_only_what_was_asked() -> None:
    assert o.engine_env("opencv", openai_url=None, openai_model=None) == {"FRAMEFLEET_ENGINE": "opencv"}
    assert o.engine_env("openai", openai_url="http://x", openai_model="m") == {
        "FRAMEFLEET_ENGINE": "openai",
        "FRAMEFLEET_OPENAI_BASE_URL": "http://x",
        "FRAMEFLEET_OPENAI_MODEL": "m",
    }


def test_the_storage_options_are_where_boto3_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://before")
    monkeypatch.setenv("AWS_PROFILE", "before")
    o.use_storage("http://store", None)
    assert (os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_PROFILE"]) == ("http://store", "before")
