import json

import pytest
from builders import ANNOTATION
from pydantic import ValidationError

from schemas.annotation import FIELDS, FrameAnnotation, answer_schema

GOOD = ANNOTATION.model_dump(mode="json")
TOO_MUCH = {
    "description": "d" * 1601,
    "objects": ["o"] * 11,
    "actions": ["a"] * 6,
    "environment": "e" * 801,
    "content_type": "c" * 201,
    "specific_style": "s" * 201,
    "production_quality": "p" * 201,
    "summary": "s" * 401,
    "logos": ["l"] * 11,
}
JUST_ENOUGH = {name: value[:-1] for name, value in TOO_MUCH.items()}
LONG_ITEMS = {"objects": ["o" * 201], "actions": ["a" * 301], "logos": ["l" * 201]}


def refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        FrameAnnotation.model_validate_json(json.dumps(GOOD | {name: value}))
    assert caught.value.errors()[0]["loc"][0] == name


def test_an_answer_at_its_bounds_is_taken() -> None:
    assert FrameAnnotation.model_validate(JUST_ENOUGH).model_dump(mode="json") == JUST_ENOUGH


@pytest.mark.parametrize("name", FIELDS)
def test_an_answer_beyond_its_bounds_is_refused_by_the_name_of_the_field(name: str) -> None:
    refused(name, TOO_MUCH[name])


@pytest.mark.parametrize("name", LONG_ITEMS)
def test_a_single_item_that_is_too_long_is_refused(name: str) -> None:
    refused(name, LONG_ITEMS[name])


@pytest.mark.parametrize("name", sorted(set(FIELDS) - set(LONG_ITEMS)))
def test_an_empty_text_is_refused(name: str) -> None:
    refused(name, "")


@pytest.mark.parametrize("name", LONG_ITEMS)
def test_an_empty_list_is_taken_and_an_empty_item_is_not(name: str) -> None:
    assert FrameAnnotation.model_validate(GOOD | {name: []})
    refused(name, [""])


@pytest.mark.parametrize("name", FIELDS)
def test_no_field_may_be_missing(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        FrameAnnotation.model_validate({key: value for key, value in GOOD.items() if key != name})


def test_the_nine_fields_are_the_prompts() -> None:
    named = "description objects actions environment content_type specific_style production_quality summary logos"
    assert " ".join(FIELDS) == named


@pytest.mark.parametrize("order", [FIELDS, tuple(sorted(FIELDS)), FIELDS[::-1]])
def test_the_answers_schema_has_its_keys_in_the_recipes_order(order: tuple[str, ...]) -> None:
    schema = answer_schema(order)
    assert tuple(schema["properties"]) == tuple(schema["required"]) == order
    assert schema["additionalProperties"] is False


def test_the_answers_schema_says_the_bounds_that_the_model_checks() -> None:
    properties = answer_schema(FIELDS)["properties"]
    assert properties["objects"] == {"items": {"maxLength": 200, "minLength": 1, "type": "string"}, "maxItems": 10, "type": "array"}
    assert properties["actions"]["maxItems"] == 5
    assert properties["description"] == {"maxLength": 1600, "minLength": 1, "type": "string"}


def test_the_answers_schema_stands_alone() -> None:
    text = json.dumps(answer_schema(FIELDS))
    assert "$ref" not in text
    assert "title" not in text


def test_an_answer_is_validated_whatever_the_order_of_its_keys() -> None:
    reverse = json.dumps({key: GOOD[key] for key in reversed(FIELDS)})
    assert FrameAnnotation.model_validate_json(reverse, strict=True) == ANNOTATION
