import socket
import subprocess
import sys

import pytest

from schemas.answer import DuplicateKeyError, Misfit, check_schema, misfits, strict_json

MOOD = {
    "type": "object",
    "properties": {
        "mood": {"enum": ["calm", "tense"]},
        "things": {"type": "array", "items": {"$ref": "#/$defs/thing"}, "maxItems": 2},
        "share": {"type": "number", "minimum": 0},
    },
    "required": ["mood", "things"],
    "additionalProperties": False,
    "$defs": {"thing": {"type": "string", "minLength": 1}},
}
TREE = {"type": "object", "properties": {"below": {"$ref": "#"}}}


def nested(depth: int) -> dict[str, object]:
    tree: dict[str, object] = {}
    for _ in range(depth):
        tree = {"below": tree}
    return tree


@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null, true, "ü\\n"]}', '{"a": 1e300}', '"\\ud83d\\ude00"'])
def test_json_is_read(text: str) -> None:
    assert strict_json(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        '{"a": Infinity}',
        "[1e999]",
        '"\\ud800"',
        '"\ud800"',
        '"a\tb"',
        '"a\nb"',
        "[" * 100_000,
        "1" * 5000,
        "{} {}",
        "{'a': 1}",
    ],
    ids=range(13),
)
def test_what_only_resembles_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the library's
        strict_json(text)


def test_a_key_may_stand_once() -> None:
    with pytest.raises(DuplicateKeyError, match="a: more than once"):
        strict_json('{"b": {"a": 1, "c": 2, "a": 1}}')


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"mood": "calm", "things": []}, []),
        ({"mood": "calm", "things": ["a", "b"], "share": 0.5}, []),
        ({"mood": "odd", "things": []}, [Misfit("mood", "enum")]),
        ({"mood": "calm", "things": ["a", ""], "share": -1}, [Misfit("things", "minLength"), Misfit("share", "minimum")]),
        ({"things": 5}, [Misfit("things", "type"), Misfit("mood", "required")]),
        ({}, [Misfit("mood", "required"), Misfit("things", "required")]),
        ({"mood": "calm", "things": [], "x": 1, "y": 2}, [Misfit("x", "additionalProperties"), Misfit("y", "additionalProperties")]),
        (["calm"], [Misfit("", "type")]),
    ],
)
def test_what_does_not_fit_is_told_by_its_field(value: object, found: list[Misfit]) -> None:
    assert misfits(value, MOOD) == found


def test_of_a_thousand_misfits_a_few_are_told() -> None:
    many = {"mood": "calm", "things": [], **{str(number): 1 for number in range(5000)}}
    assert 0 < len(misfits(many, MOOD)) < 50


def test_a_tree_deeper_than_can_be_followed_does_not_fit() -> None:
    assert misfits(nested(20), TREE) == []
    assert misfits(nested(900), TREE) == [Misfit("", "too_deep")]


def test_a_schema_is_read_as_the_version_that_it_names() -> None:
    as_tuple = {"type": "object", "properties": {"pair": {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}}}
    draft7 = {"$schema": "http://json-schema.org/draft-07/schema#", **as_tuple}
    check_schema(draft7)
    assert misfits({"pair": ["a", "b"]}, draft7) == [Misfit("pair", "type")]
    with pytest.raises(ValueError, match="no valid JSON Schema at properties/pair/items"):
        check_schema(as_tuple)


def test_what_lies_elsewhere_is_refused_and_never_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        schema = {"type": "object", "properties": {"a": {"$ref": f"http://127.0.0.1:{elsewhere.getsockname()[1]}/x"}}}
        with pytest.raises(ValueError, match="must stand alone"):
            check_schema(schema)
        with pytest.raises(Exception, match="Unresolvable"):
            misfits({"a": 1}, schema)
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_a_property_may_be_called_as_a_reference_is() -> None:
    check_schema({"type": "object", "properties": {"$ref": {"type": "string"}, "a": {"const": {"$ref": "elsewhere"}}}})
    with pytest.raises(ValueError, match="must stand alone"):
        check_schema({"type": "object", "properties": {"default": {"$ref": "elsewhere"}}})


def test_a_recipe_without_a_schema_of_its_own_loads_no_library_for_them() -> None:
    program = (
        "import sys; from schemas.recipe import load_recipe; load_recipe('vidcap-12b').recipe_id; sys.exit('jsonschema' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_only_the_root_may_have_a_name() -> None:
    named = MOOD | {"$id": "https://schemas.test/mood"}
    check_schema(named)
    assert misfits({"mood": "calm", "things": [""]}, named) == [Misfit("things", "minLength")]
    with pytest.raises(ValueError, match="only its root may have an"):
        check_schema({"type": "object", "properties": {"a": {"$id": "https://schemas.test/a", "$ref": "#/$defs/x"}}, "$defs": {"x": {}}})
