import pytest

from schemas.answer import check_schema, misfits
from schemas.errors import UnsuitableError
from workers.engines.instances import instance_of


def shaped(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


KINDS = {
    "text": {"type": "string"},
    "short": {"type": "string", "maxLength": 3},
    "long": {"type": "string", "minLength": 60, "maxLength": 61},
    "nothing_said": {},
    "count": {"type": "integer", "minimum": 3, "maximum": 4},
    "even": {"type": "integer", "exclusiveMinimum": 2, "multipleOf": 2},
    "below": {"type": "integer", "maximum": -7},
    "share": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
    "yes": {"type": "boolean"},
    "none": {"type": "null"},
    "either": {"type": ["integer", "null"]},
    "fixed": {"const": {"a": [1]}},
    "one_of_these": {"enum": ["a", None, 3]},
    "list": {"type": "array", "items": {"type": "string"}, "minItems": 3},
    "empty": {"type": "array", "items": {"type": "string"}, "maxItems": 0},
    "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2, "items": False},
    "choice": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
    "one": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    "whole": {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}, {"required": ["a", "b"]}]},
    "inner": shaped(deep=shaped(deeper={"type": "array", "items": shaped(x={"enum": [1]}), "minItems": 2})),
}


@pytest.mark.parametrize("seed", [0, 1, 99, 100, 2**32 - 1])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_up_fits(kind: str, seed: int) -> None:
    schema = shaped(**{kind: KINDS[kind]})
    check_schema(schema)
    assert misfits(instance_of(schema, seed=seed), schema) == []


def test_the_same_seed_makes_the_same_and_another_another() -> None:
    schema = shaped(**KINDS)
    assert instance_of(schema, seed=7) == instance_of(schema, seed=7) != instance_of(schema, seed=8)
    assert tuple(instance_of(schema, seed=7)) == tuple(KINDS)


def test_references_are_followed_and_a_tree_ends() -> None:
    schema = shaped(word={"$ref": "#/$defs/word"}, root={"$ref": "#/$defs/node"}) | {
        "$defs": {
            "word": {"type": "string", "maxLength": 9},
            "node": {
                "type": "object",
                "properties": {"left": {"$ref": "#/$defs/node"}, "word": {"$ref": "#/$defs/word"}},
                "required": ["word"],
            },
        }
    }
    assert misfits(instance_of(schema, seed=5), schema) == []
    assert tuple(instance_of(schema, seed=5)["root"]) == ("word",)


@pytest.mark.parametrize(
    ("schema", "asked"),
    [
        (shaped(a={"type": "string", "pattern": "^x"}), "pattern"),
        (shaped(a={"not": {"type": "null"}}), "not"),
        (shaped(a={"type": "array", "contains": {}}), "contains"),
        (shaped(a={"$ref": "#"}), "endless nesting"),
    ],
)
def test_what_it_cannot_make_up_it_says(schema: dict[str, object], asked: str) -> None:
    with pytest.raises(UnsuitableError, match=f"cannot make up an answer to {asked} in"):
        instance_of(schema, seed=0)
