"""The nine fields that describe one frame."""

from functools import cache
from typing import Annotated, Any

from pydantic import Field

from schemas.model import Model

Sentence = Annotated[str, Field(min_length=1, max_length=400)]
Phrase = Annotated[str, Field(min_length=1, max_length=200)]
ActionPhrase = Annotated[str, Field(min_length=1, max_length=300)]


class FrameAnnotation(Model):
    """What is visibly in a frame. Bounds follow the model's prompt; four sentences are 1,600 characters at most."""

    description: Annotated[str, Field(min_length=1, max_length=1600)]
    objects: Annotated[tuple[Phrase, ...], Field(max_length=10)]
    actions: Annotated[tuple[ActionPhrase, ...], Field(max_length=5)]
    environment: Annotated[str, Field(min_length=1, max_length=800)]
    content_type: Phrase
    specific_style: Phrase
    production_quality: Phrase
    summary: Sentence
    logos: Annotated[tuple[Phrase, ...], Field(max_length=10)]


FIELDS = tuple(FrameAnnotation.model_fields)


@cache
def answer_schema(key_order: tuple[str, ...]) -> dict[str, Any]:
    """JSON Schema of an answer with its keys in the recipe's order, since a constrained decoder writes them in that order."""
    schema = FrameAnnotation.model_json_schema()
    properties = schema["properties"]
    return {
        "type": "object",
        "properties": {key: _plain(properties[key]) for key in key_order},
        "required": list(key_order),
        "additionalProperties": False,
    }


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    """A field's schema without titles, which cost tokens in some back ends and decide nothing."""
    return {key: _plain(value) if isinstance(value, dict) else value for key, value in field.items() if key != "title"}
