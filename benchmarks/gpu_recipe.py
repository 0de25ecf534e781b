"""The recipe that is measured: VidCap-12B's own but for the answer, which random weights would never end by themselves.

Its JSON Schema has the nine fields with strings and lists of fixed lengths, so that an answer held to it has about `TOKENS` tokens and
is valid: what constrained decoding costs is in the figure, and every frame is delivered. How many tokens it really were is measured.
"""

import json
from pathlib import Path
from typing import Any

from schemas.recipe import Recipe, load_recipe

MEASURED = "vidcap-12b"
TOKENS = 250
"""What the model's real answers have at most, as a rule."""
MAX_TOKENS = 400
LENGTHS: dict[str, int | tuple[int, int]] = {
    "actions": (2, 60),
    "content_type": 20,
    "description": 220,
    "environment": 130,
    "logos": (1, 30),
    "objects": (5, 45),
    "production_quality": 25,
    "specific_style": 25,
    "summary": 130,
}
"""Characters of each field, or items and characters of each."""


def measured_recipe() -> Recipe:
    """The recipe with an answer of a fixed length."""
    ours = load_recipe(MEASURED)
    changes = {"name": "gpu-benchmark", "answer": answer(), "sampling": ours.sampling.model_copy(update={"max_tokens": MAX_TOKENS})}
    return Recipe.model_validate({**dict(ours), **changes, "key_order": tuple(LENGTHS)})


def answer() -> dict[str, Any]:
    """The JSON Schema that answers are held to."""
    properties = {key: _list(*length) if isinstance(length, tuple) else _text(length) for key, length in LENGTHS.items()}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _text(characters: int) -> dict[str, Any]:
    return {"type": "string", "minLength": characters, "maxLength": characters}


def _list(items: int, characters: int) -> dict[str, Any]:
    return {"type": "array", "minItems": items, "maxItems": items, "items": _text(characters)}


def write(recipe: Recipe, path: Path) -> Path:
    """Write a recipe as TOML, one line a field."""
    path.write_text("".join(f"{key} = {toml(value)}\n" for key, value in recipe.model_dump(mode="json").items()))
    return path


def toml(value: object) -> str:
    """A value that JSON can say, as TOML says it on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case _:
            return json.dumps(value)
