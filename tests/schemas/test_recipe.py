import hashlib
from pathlib import Path

import pytest

from schemas.errors import OperatorError
from schemas.recipe import HOUSE_RECIPES, KeyframePolicy, Prompt, house_recipes, load_recipe

PUBLISHED = Path(__file__).parents[3] / "shared" / "prompts"
SHA256 = {
    "cliptagger-system.txt": "00d57940188e565a162a36186c85c1cf5517906e55d3a7bf3b8f3b57a2c275b9",
    "cliptagger-user.txt": "aed55301a302c18ac512555c2cb363a557c33b4122a893a53fc8e58b42ed0238",
}
GOOD = """
name = "mine"
[model]
name = "m"
revision = "1"
[prompt]
short_text = "s"
long_text = "l"
"""


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> str:
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_the_house_has_a_recipe_for_each_kind_of_engine() -> None:
    assert house_recipes() == ["opencv", "vidcap-12b"]
    assert [load_recipe(name).name for name in house_recipes()] == house_recipes()


def test_the_models_prompt_is_its_own_byte_for_byte() -> None:
    prompt = load_recipe("vidcap-12b").prompt
    texts = {"cliptagger-system.txt": prompt.system, "cliptagger-user.txt": prompt.user}
    assert {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()} == SHA256


@pytest.mark.parametrize("name", SHA256)
def test_the_pinned_prompt_is_the_published_one(name: str) -> None:
    published = PUBLISHED / name
    body = (published if published.exists() else HOUSE_RECIPES / name).read_bytes()
    assert hashlib.sha256(body).hexdigest() == SHA256[name]


def test_the_role_order_says_which_text_is_the_systems() -> None:
    short = Prompt(short_text="s", long_text="l")
    long = short.model_copy(update={"role_order": "long-is-system"})
    assert (short.system, short.user) == ("s", "l")
    assert (long.system, long.user) == ("l", "s")


def test_the_models_answer_has_its_keys_in_alphabetical_order() -> None:
    assert list(load_recipe("vidcap-12b").key_order) == sorted(load_recipe("opencv").key_order)


def test_a_recipe_is_read_from_a_file_with_its_prompt_beside_it(written, tmp_path: Path) -> None:
    text = "Zeile 1\r\nZeile 2 ü \n\n"
    (tmp_path / "long.txt").write_bytes(text.encode())
    recipe = load_recipe(written(GOOD.replace('long_text = "l"', 'long_text_file = "long.txt"')))
    assert (recipe.name, recipe.prompt.long_text) == ("mine", text)


@pytest.mark.parametrize(
    ("right", "wrong", "field"),
    [
        ('name = "mine"', 'nmae = "mine"', "nmae"),
        ('revision = "1"', "revision = 1", r"model\.revision"),
        ('long_text = "l"', "", r"prompt\.long_text"),
        ('short_text = "s"', 'short_text = "s"\nrole_order = "x"', r"prompt\.role_order"),
        ("[model]", 'key_order = ["summary"]\n[model]', "key_order must name each"),
        ("[model]", "[sampling]\nmax_tokens = 1\n[model]", r"sampling\.max_tokens"),
        ("[model]", "[image]\nmax_width = 1\n[model]", r"image\.max_width"),
        ("[model]", "[keyframes]\nmin_gap_seconds = -1\n[model]", r"keyframes\.min_gap_seconds"),
        ("[model]", "[keyframes]\nscene_threshold = -1\n[model]", r"keyframes\.scene_threshold"),
        ("[model]", "[keyframes]\nscene_threshold = nan\n[model]", r"keyframes\.scene_threshold"),
        ("[model]", "[keyframes]\nduplicate_distance = 256\n[model]", r"keyframes\.duplicate_distance"),
        ("[prompt]\n", "[sampling]\n", "\nprompt\n"),
        ("[model]", "[model", "line 3"),
    ],
)
def test_a_recipe_that_is_wrong_is_refused_by_the_name_of_the_field(written, right: str, wrong: str, field: str) -> None:
    with pytest.raises(OperatorError, match=field):
        load_recipe(written(GOOD.replace(right, wrong)))


def test_scenes_and_duplicates_are_asked_for_by_number_and_off_by_default(written) -> None:
    plain = load_recipe(written(GOOD)).keyframes
    assert (plain.scene_threshold, plain.duplicate_distance) == (0, 0)
    asked = load_recipe(written(GOOD + "[keyframes]\nscene_threshold = 27\nduplicate_distance = 8.0\n")).keyframes
    assert asked == KeyframePolicy(scene_threshold=27, duplicate_distance=8)
    assert KeyframePolicy.model_validate_json(asked.model_dump_json()) == asked


def test_a_recipe_is_written_down_as_before_there_were_scenes_and_duplicates() -> None:
    assert KeyframePolicy().model_dump() == {"min_gap_seconds": 2.0, "max_per_video": 64}
    assert KeyframePolicy(min_gap_seconds=0, max_per_video=0).model_dump() == {"min_gap_seconds": 0.0, "max_per_video": 0}


def test_a_recipe_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(GOOD.replace('"s"', '"ü"').encode("latin-1"))
    with pytest.raises(OperatorError, match="not valid"):
        load_recipe(str(path))


def test_a_recipe_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(OperatorError, match="opencv, vidcap-12b"):
        load_recipe("vidcap")


def test_a_prompt_file_that_is_not_there_is_named(written) -> None:
    with pytest.raises(OperatorError, match=r"nowhere\.txt"):
        load_recipe(written(GOOD.replace('long_text = "l"', 'long_text_file = "nowhere.txt"')))


def test_a_prompt_file_that_is_no_text_is_refused_by_its_name(written) -> None:
    with pytest.raises(OperatorError, match="long_text_file"):
        load_recipe(written(GOOD.replace('long_text = "l"', "long_text_file = 5")))
