"""The recipes for other families of models, on tiny models of theirs."""

import json
from pathlib import Path
from typing import Any

import jsonschema
from hosted import SCHEMA, Hosted, asked, hosted, picture

from schemas.recipe import Recipe, load_recipe


def with_short_answers(name: str, **fields: Any) -> Recipe:
    """A house recipe as it is, but for an answer that random weights can end."""
    table = load_recipe(name).model_dump(exclude={"key_order"})
    return Recipe.model_validate(table | {"answer": SCHEMA, "image": {"max_width": 128, "max_height": 128}} | fields)


def valid_texts(engine: Hosted, recipe: Recipe) -> list[str]:
    answers = asked(engine, *(picture(seed) for seed in range(4)), recipe=recipe, temperature=recipe.sampling.temperature)
    for answer in answers:
        jsonschema.validate(json.loads(answer.text), SCHEMA)
    return [answer.text for answer in answers]


def test_qwens_recipe_is_answered_validly_and_by_the_picture(qwen: Path) -> None:
    recipe = with_short_answers("qwen2.5-vl-7b")
    with hosted(qwen, recipe) as engine:
        assert len(set(valid_texts(engine, recipe))) > 1


def test_nemotrons_recipe_is_answered_validly(nemotron: Path) -> None:
    recipe = with_short_answers("nemotron-nano-12b-v2-vl")
    with hosted(nemotron, recipe, load_format="dummy") as engine:
        assert valid_texts(engine, recipe)
