import json
from dataclasses import replace
from typing import Any

from schemas.recipe import ModelRef, Prompt, Recipe, SamplingParams
from workers.chat import request_body
from workers.engines import Ask
from workers.keyframe import Form, Picture

PICTURE = Picture(b"no real file", width=16, height=16, form=Form.JPEG)
OWN = {"type": "object", "properties": {"mood": {"type": "string"}, "place": {"type": "string"}}, "additionalProperties": False}
RECIPE = Recipe(
    name="own",
    model=ModelRef(name="tiny", revision="1", engine={"max_model_len": 4096}),
    prompt=Prompt(short_text="Be brief.", long_text="Describe."),
    key_order=("place", "mood"),
    answer=OWN,
    sampling=SamplingParams(extra={"repetition_penalty": 1.05, "model": "other"}),
)
ASK = Ask(recipe=RECIPE, max_tokens=100, temperature=0.5, seed=3)


def question(ask: Ask) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(request_body(PICTURE, ask, model="tiny", response_format="json_schema"))
    return found


def test_a_recipes_own_schema_is_what_the_endpoint_is_held_to() -> None:
    sent = question(ASK)["response_format"]["json_schema"]["schema"]
    assert sent == OWN
    assert tuple(sent["properties"]) == ("place", "mood")


def test_further_sampling_parameters_are_sent_and_overrule_nothing() -> None:
    sent = question(replace(ASK, constrained=False))
    assert (sent["repetition_penalty"], sent["model"], sent["temperature"]) == (1.05, "tiny", 0.5)
    assert "max_model_len" not in sent
