import hashlib
import json
from pathlib import Path

import pytest

from schemas.annotation import FIELDS, FrameAnnotation, answer_schema
from schemas.errors import OperatorError
from schemas.recipe import HOUSE_RECIPES, KeyframePolicy, ModelRef, Prompt, SamplingParams, house_recipes, load_recipe

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
    nemotron = "nemotron-nano-12b-v2-vl"
    assert house_recipes() == [nemotron, f"{nemotron}-fp8", f"{nemotron}-nvfp4", "opencv", "qwen2.5-vl-7b", "vidcap-12b"]
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
        ("[model]", "[sampling.extra]\nseed = 1\n[model]", r"sampling\.extra\n.*seed cannot stand here"),
        ("[model]", 'answer = "x"\n[model]', "answer"),
        ("[model]", '[answer]\ntype = "array"\n[model]', 'must be a JSON Schema of type "object" with properties'),
        ("[model]", '[answer]\ntype = "object"\n[model]', 'must be a JSON Schema of type "object" with properties'),
        ("[model]", '[answer]\ntype = "object"\nproperties.a.type = "text"\n[model]', "no valid JSON Schema at properties/a/type: 'text'"),
        ("[model]", '[answer]\ntype = "object"\nproperties.a.pattern = "("\n[model]', "no valid JSON Schema at properties/a/pattern"),
        ("[model]", '[answer]\ntype = "object"\nproperties.a."$ref" = "#/$defs/x"\n[model]', "no such place"),
        ("[model]", '[answer]\ntype = "object"\nproperties.a."$ref" = "https://x.test/y"\n[model]', "must stand alone"),
        ("[model]", '[answer]\n"$schema" = "odd"\ntype = "object"\nproperties.a = {}\n[model]', "'odd', which is no known version"),
        (
            "[model]",
            'key_order = ["b"]\n[answer]\ntype = "object"\nproperties.a = {}\n[model]',
            r"key_order must name each of these once: a \[",
        ),
        ("[model]", 'answer_file = "nowhere.json"\n[model]', r"nowhere\.json"),
        ("[model]", "answer_file = 5\n[model]", "answer_file must name a file"),
        ("[model]", 'answer_file = "x"\n[answer]\n[model]', "cannot both be given"),
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
    assert ModelRef(name="m", revision="1").model_dump() == {"name": "m", "revision": "1", "quantization": "none"}
    assert "extra" not in SamplingParams().model_dump()
    assert KeyframePolicy(min_gap_seconds=0, max_per_video=0).model_dump() == {"min_gap_seconds": 0.0, "max_per_video": 0}


def test_a_recipe_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(GOOD.replace('"s"', '"ü"').encode("latin-1"))
    with pytest.raises(OperatorError, match="not valid"):
        load_recipe(str(path))


def test_a_recipe_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(OperatorError, match=r"opencv, .*vidcap-12b"):
        load_recipe("vidcap")


def test_a_prompt_file_that_is_not_there_is_named(written) -> None:
    with pytest.raises(OperatorError, match=r"nowhere\.txt"):
        load_recipe(written(GOOD.replace('long_text = "l"', 'long_text_file = "nowhere.txt"')))


def test_a_prompt_file_that_is_no_text_is_refused_by_its_name(written) -> None:
    with pytest.raises(OperatorError, match="long_text_file"):
        load_recipe(written(GOOD.replace('long_text = "l"', "long_text_file = 5")))


INLINE = """
key_order = ["mood", "things"]
[answer]
type = "object"
required = ["mood"]
additionalProperties = false
[answer.properties.things]
type = "array"
items = { type = "string", maxLength = 20 }
[answer.properties.mood]
enum = ["calm", "tense"]
[model]"""


def test_a_recipe_may_bring_its_own_schema_in_the_order_that_it_asks_for(written) -> None:
    recipe = load_recipe(written(GOOD.replace("[model]", INLINE)))
    assert list(recipe.answer_schema["properties"]) == ["mood", "things"]
    assert recipe.answer_schema == recipe.answer
    unordered = load_recipe(written(GOOD.replace("[model]", INLINE.replace('key_order = ["mood", "things"]', ""))))
    assert unordered.key_order == tuple(unordered.answer_schema["properties"]) == ("things", "mood")


def test_a_schema_may_lie_beside_its_recipe(written, tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"b": {"$ref": "#/$defs/word"}, "a": {"enum": [None, 1]}},
        "$defs": {"word": {"type": "string"}},
    }
    (tmp_path / "answer.json").write_text(json.dumps(schema))
    recipe = load_recipe(written(GOOD.replace("[model]", 'answer_file = "answer.json"\n[model]')))
    assert recipe.answer_schema == schema
    assert recipe.key_order == ("b", "a")


def test_a_schema_file_that_says_something_twice_is_refused(written, tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text('{"type": "object", "type": "object", "properties": {"a": {}}}')
    with pytest.raises(OperatorError, match="type: more than once"):
        load_recipe(written(GOOD.replace("[model]", 'answer_file = "answer.json"\n[model]')))


@pytest.mark.parametrize("name", house_recipes())
def test_the_house_recipes_ask_for_the_nine_fields(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.answer is None
    assert recipe.answer_schema == answer_schema(recipe.key_order)


@pytest.mark.parametrize("name", sorted(set(house_recipes()) - {"opencv", "vidcap-12b"}))
def test_a_general_models_prompt_names_every_field_and_bound_and_shows_no_json(name: str) -> None:
    prompt = load_recipe(name).prompt
    assert [line.partition(":")[0] for line in prompt.user.splitlines() if line.partition(":")[0] in FIELDS] == list(FIELDS)
    assert not set("{}[]") & set(prompt.system + prompt.user)
    assert prompt.user.rstrip().splitlines()[-1].startswith("Answer with the JSON object only")
    for words in ("1,600", "at most ten things", "at most five things", "300", "800", "400", "at most ten logos"):
        assert words in prompt.user


@pytest.mark.parametrize("name", sorted(set(house_recipes()) - {"opencv", "vidcap-12b"}))
def test_a_general_models_weights_are_pinned(name: str) -> None:
    assert len(bytes.fromhex(load_recipe(name).model.revision)) == 20


def test_nemotron_is_told_not_to_think() -> None:
    systems = {load_recipe(name).prompt.system for name in house_recipes() if name.startswith("nemotron")}
    assert [system.partition("\n")[0] for system in systems] == ["/no_think"]


def test_the_general_prompts_bounds_are_the_models() -> None:
    fields = FrameAnnotation.model_json_schema()["properties"]
    assert (fields["description"]["maxLength"], fields["environment"]["maxLength"], fields["summary"]["maxLength"]) == (1600, 800, 400)
    assert (fields["objects"]["maxItems"], fields["actions"]["maxItems"], fields["logos"]["maxItems"]) == (10, 5, 10)
