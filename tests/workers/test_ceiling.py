from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import RECIPE

from schemas.errors import OperatorError
from schemas.recipe import ImageSize, ModelRef
from workers.ceiling import Ceiling, Ceilings, default_folder, engine_words, file_name
from workers.machine import machine_words

CEILING = Ceiling(
    engine="vllm",
    model=RECIPE.model,
    image=RECIPE.image,
    machine="NVIDIA H200, 16 CPUs",
    recipe=RECIPE.name,
    recipe_id=RECIPE.recipe_id,
    answer_tokens=250,
    in_flight=320,
    frames=1024,
    seconds=50.0,
    frames_per_second=20.48,
    prompt_tokens_per_second=20000.0,
    cached_tokens_per_second=None,
    output_tokens_per_second=5120.0,
    versions={"engine": "vllm", "vllm": "0.32.0"},
    measured_at=datetime(2026, 1, 2, tzinfo=UTC),
)


def test_a_ceiling_is_found_again_by_what_it_was_measured_with(tmp_path: Path) -> None:
    path = Ceilings(str(tmp_path / "new")).keep(CEILING)
    assert path.name.startswith("vllm-tiny-896x896-")
    assert Ceilings(str(tmp_path / "new")).find(RECIPE, engine="vllm", machine=CEILING.machine) == CEILING
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_later_measurement_takes_the_place_of_an_earlier(tmp_path: Path) -> None:
    ceilings = Ceilings(str(tmp_path))
    later = CEILING.model_copy(update={"frames_per_second": 21.0})
    assert ceilings.keep(CEILING) == ceilings.keep(later)
    assert ceilings.find(RECIPE, engine="vllm", machine=CEILING.machine) == later


@pytest.mark.parametrize(
    ("update", "engine", "machine"),
    [
        ({}, "openai at host:8000", CEILING.machine),
        ({}, "vllm", "NVIDIA L4, 16 CPUs"),
        ({"model": ModelRef(name="tiny", revision="2")}, "vllm", CEILING.machine),
        ({"model": ModelRef(name="tiny", revision="1", quantization="fp8")}, "vllm", CEILING.machine),
        ({"image": ImageSize(max_width=448)}, "vllm", CEILING.machine),
    ],
)
def test_another_engine_machine_model_or_image_size_has_a_ceiling_of_its_own(tmp_path: Path, update, engine: str, machine: str) -> None:
    Ceilings(str(tmp_path)).keep(CEILING)
    assert Ceilings(str(tmp_path)).find(RECIPE.model_copy(update=update), engine=engine, machine=machine) is None


def test_another_prompt_has_the_same_ceiling(tmp_path: Path) -> None:
    Ceilings(str(tmp_path)).keep(CEILING)
    reworded = RECIPE.model_copy(update={"name": "other", "prompt": RECIPE.prompt.model_copy(update={"short_text": "Short."})})
    assert Ceilings(str(tmp_path)).find(reworded, engine="vllm", machine=CEILING.machine) == CEILING


def test_a_file_that_cannot_be_read_is_no_ceiling_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = Ceilings(str(tmp_path)).keep(CEILING)
    path.write_text(path.read_text()[:50])
    assert Ceilings(str(tmp_path)).find(RECIPE, engine="vllm", machine=CEILING.machine) is None
    assert "framefleet bench engine" in caplog.text


def test_a_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match="FRAMEFLEET_CEILING_DIR"):
        Ceilings(str(tmp_path / "file")).keep(CEILING)


def test_the_cache_folder_is_the_users() -> None:
    assert default_folder({"XDG_CACHE_HOME": "/var/cache/ann", "HOME": "/ann"}) == Path("/var/cache/ann/framefleet/ceilings")
    for environ in ({"HOME": "/ann"}, {"HOME": "/ann", "XDG_CACHE_HOME": "not/absolute"}, {"HOME": "/ann", "XDG_CACHE_HOME": ""}):
        assert default_folder(environ) == Path("/ann/.cache/framefleet/ceilings")


def test_names_of_files_hold_no_folder() -> None:
    name = file_name("openai at ../host:80", ModelRef(name="org/../model", revision="1"), ImageSize(), machine="m")
    assert "/" not in name
    assert name.startswith("openai-at-..-host-80-model-896x896-")


def test_an_engine_over_http_is_named_with_its_host() -> None:
    assert engine_words({"engine": "vllm", "vllm": "0.32"}) == "vllm"
    assert engine_words({"engine": "openai", "endpoint": "host:8000"}) == "openai at host:8000"


def test_a_machine_has_words_and_a_number_of_cpus() -> None:
    assert machine_words().endswith(" CPUs")
    assert machine_words().partition(",")[0]
