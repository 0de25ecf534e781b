"""From an engine's text to an annotation that fits the recipe, or to what is wrong with it. Nothing is bent until it fits."""

import json
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.annotation import FIELDS, FrameAnnotation
from schemas.answer import DuplicateKeyError, misfits, strict_json
from schemas.recipe import Recipe

Annotation = FrameAnnotation | dict[str, Any]
"""The nine fields, or an object that fits the recipe's own schema."""

BRACES_TRIED = 64
"""Opening braces of a free answer at which an object is looked for; no sensible answer has more before its own."""
FIELDS_TOLD = 40
LABEL_CHARACTERS = 40


class UnfitError(Exception):
    """A text is no annotation. `cause` is from a closed list, for counting; the message is for people."""

    def __init__(self, says: str, *, cause: str) -> None:
        """Keep the cause: a field, `field:` and a property of an own schema, `json`, `duplicate_key`, `other_key` or `shape`."""
        super().__init__(says)
        self.cause = cause


def annotation_in(text: str, recipe: Recipe) -> Annotation:
    """Read an answer that must be one JSON object and nothing else.

    Raises:
        UnfitError: it is not, or the object does not fit the recipe's schema.
    """
    return _nine_fields(text) if recipe.answer is None else _own(text, recipe)


def first_object(text: str) -> str:
    """Find the first JSON object in prose, in a fenced block or bare.

    Raises:
        UnfitError: there is none.
    """
    decoder = json.JSONDecoder()
    start = text.find("{")
    for _ in range(BRACES_TRIED):
        if start < 0:
            break
        try:
            return text[start : decoder.raw_decode(text, start)[1]]
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
    raise UnfitError("no JSON object in it", cause="json")


def _nine_fields(text: str) -> FrameAnnotation:
    try:
        annotation = FrameAnnotation.model_validate_json(text, strict=True)
        strict_json(text)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        raise UnfitError(_listed((_field(one), one["type"]) for one in wrong), cause=_cause(wrong[0])) from error
    except DuplicateKeyError as error:
        raise UnfitError(str(error), cause="duplicate_key") from error
    return annotation


def _cause(error: ErrorDetails) -> str:
    return "json" if error["type"] == "json_invalid" else _label(_field(error), FIELDS)


def _field(error: ErrorDetails) -> str:
    return str(error["loc"][0]) if error["loc"] else ""


def _own(text: str, recipe: Recipe) -> dict[str, Any]:
    value = _parsed(text)
    if wrong := misfits(value, recipe.answer_schema):
        told = _listed((misfit.field, misfit.keyword) for misfit in wrong)
        raise UnfitError(told, cause=_label(wrong[0].field, recipe.key_order, prefix="field:"))
    found: dict[str, Any] = value  # the schema's type is "object"
    return found


def _parsed(text: str) -> Any:
    try:
        return strict_json(text)
    except DuplicateKeyError as error:
        raise UnfitError(str(error)[:300], cause="duplicate_key") from error
    except ValueError as error:
        raise UnfitError(f"answer: json_invalid ({str(error)[:100]})", cause="json") from error


def _label(field: str, fields: tuple[str, ...], *, prefix: str = "") -> str:
    """A failing field's name, or a word for what no field has; a foreign key must not become a label of a metric."""
    if not field:
        return "shape"
    return f"{prefix}{field[:LABEL_CHARACTERS]}" if field in fields else "other_key"


def _listed(wrong: Iterable[tuple[str, str]]) -> str:
    """Each failing field once, with what is wrong with it."""
    told = dict.fromkeys(f"{field[:LABEL_CHARACTERS] or 'answer'}: {fault}" for field, fault in wrong)
    return ", ".join(list(told)[:FIELDS_TOLD])
