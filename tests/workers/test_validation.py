import json
from collections import Counter

import pytest
from climbing import ANNOTATION, GOOD, RECIPE, SENSELESS, changed, climb, fall, stop

from schemas.reasons import Reason


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD[:-1], "json_invalid"),
        (GOOD + "{}", "json_invalid"),
        (f"```json\n{GOOD}\n```", "json_invalid"),
        (GOOD.replace("{", '{"description": "first", ', 1), "description: more than once"),
        (changed(mood="calm"), "mood: extra_forbidden"),
        (changed(description=5), "description: string_type"),
        (changed(objects="a lamp"), "objects: tuple_type"),
        (changed(objects=["a lamp", 5]), "objects: string_type"),
        (changed(summary="x" * 401), "summary: string_too_long"),
        (changed(environment=None, actions=["x"] * 6), "actions: too_long, environment: string_type"),
        (json.dumps({"logos": []}), "description: missing"),
        (f"[{GOOD}]", "answer: model_type"),
        ("", "json_invalid"),
        (GOOD.replace("Frame", "\\ud800"), "json_invalid"),
        (GOOD.replace("Frame", "\ud800"), "unicode"),
        (GOOD.replace("Frame", "\t"), "json_invalid"),
        ("[" * 100_000, "json_invalid"),
    ],
    ids=range(17),
)
def test_an_answer_that_only_nearly_fits_is_not_bent_until_it_does(text, says):
    error = fall(stop(text), SENSELESS, SENSELESS)
    assert says in str(error)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"The fields {{description, objects}} are:\n{GOOD}",
        f"{GOOD}\nand {{that}} is all",
        f"I see {changed(summary='a sign saying } and {')}",
    ],
)
def test_an_object_is_found_in_prose(text):
    assert climb(SENSELESS, SENSELESS, stop(text)).annotation.description == ANNOTATION.description


@pytest.mark.parametrize("text", ["", "{", "{" * 100_000, '{"":' * 100_000, f"[1] {{}} {GOOD}", GOOD[:-2], f"{{ {GOOD[1:-1]}, }}"])
def test_prose_without_a_whole_first_object_is_unfit(text):
    assert fall(SENSELESS, SENSELESS, stop(text)).reason is Reason.INVALID_ANSWER


OWN = RECIPE.model_copy(
    update={
        "key_order": ("mood", "cut"),
        "answer": {
            "type": "object",
            "properties": {"cut": {"type": "number"}, "mood": {"enum": ["calm", "tense"]}},
            "required": ["cut", "mood"],
            "additionalProperties": False,
        },
    }
)


def test_an_answer_that_fits_a_recipes_own_schema_is_taken_as_it_is():
    caption = climb(stop('{"mood": "calm", "cut": 0.5}'), recipe=OWN)
    assert caption.annotation == {"mood": "calm", "cut": 0.5}


@pytest.mark.parametrize(
    ("text", "says", "cause"),
    [
        ('{"mood": "odd", "cut": 1}', "mood: enum", "field:mood"),
        ('{"mood": "calm", "cut": "1"}', "cut: type", "field:cut"),
        ('{"mood": "calm"}', "cut: required", "field:cut"),
        ('{"mood": "calm", "cut": 1, "accepted": 2}', "accepted: additionalProperties", "other_key"),
        ('["calm"]', "answer: type", "shape"),
        ('{"mood": "calm", "cut": NaN}', "NaN is no JSON", "json"),
        ('{"mood": "calm", "cut": 1e999}', "too large a number", "json"),
        ('{"mood": "calm", "cut": 1, "cut": 2}', "cut: more than once", "duplicate_key"),
        ('{"mood": "calm", "cut": 1}\t\x0b', "json_invalid", "json"),
        ('{"mood": "cal\tm", "cut": 1}', "json_invalid", "json"),
        ('{"mood": "calm", "cut": 1', "json_invalid", "json"),
        ("[" * 100_000, "too deep", "json"),
    ],
    ids=range(12),
)
def test_an_answer_that_does_not_fit_an_own_schema_is_counted_by_cause_and_field(text, says, cause):
    counts = Counter()
    caption = climb(stop(text), stop('{"mood": "calm", "cut": 1}'), recipe=OWN, counts=counts)
    assert (caption.usage.rung, counts["constrained", cause]) == ("reseeded", 1)
    assert says in str(fall(stop(text), stop("no"), stop("no"), recipe=OWN))
