"""Recipes' own JSON Schemas, and the strict reading of JSON. The door for jsonschema, loaded only where a recipe brings a schema."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

MISFITS_TOLD = 16
"""No one reads more, and an answer may have thousands."""

REFERRING = ("$ref", "$dynamicRef", "$recursiveRef")
LITERAL = frozenset({"const", "enum", "default", "examples"})
"""Keywords whose values are no schemas."""
KEYED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose values are maps from names to schemas."""


class DuplicateKeyError(ValueError):
    """Two values for one key: which one was meant is anybody's guess."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """One way in which an object does not fit a schema."""

    field: str
    """The top-level property that it is about; empty if it is about the object."""
    keyword: str
    """What of the schema it breaks, such as `maxItems`."""


def strict_json(text: str) -> Any:
    """Parse JSON as the standard has it: no NaN, no infinity, no number that overflows to one, no lone surrogate, no key twice.

    Raises:
        ValueError: it is not such JSON; a DuplicateKeyError says so.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once_each, parse_constant=_refuse, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("too deep") from error
    return value


def check_schema(schema: dict[str, Any]) -> None:
    """See that a schema is one, describes an object by its properties, and stands alone.

    Raises:
        ValueError: it does not; the message says why.
    """
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415

    if schema.get("type") != "object" or not isinstance(schema.get("properties"), dict) or not schema["properties"]:
        raise ValueError('answer must be a JSON Schema of type "object" with properties')
    try:
        _validator_class(schema).check_schema(schema)
    except SchemaError as error:
        where = "/".join(str(step) for step in error.absolute_path) or "its root"
        raise ValueError(f"answer is no valid JSON Schema at {where}: {error.message[:300]}") from error
    for part in _parts(schema):
        if part is not schema and isinstance(part.get("$id"), str):
            raise ValueError(f"answer names a part of itself {part['$id']!r}: only its root may have an $id")
        for ref in (part[keyword] for keyword in REFERRING if isinstance(part.get(keyword), str)):
            pointed_at(schema, ref)


def misfits(value: Any, schema: dict[str, Any]) -> list[Misfit]:
    """Say in which ways a value does not fit a schema; empty if it fits."""
    errors = _validator(json.dumps(schema)).iter_errors(value)
    try:
        return list(dict.fromkeys(misfit for error in islice(errors, MISFITS_TOLD) for misfit in _told(error)))
    except RecursionError:
        return [Misfit("", "too_deep")]


def pointed_at(schema: dict[str, Any], ref: str) -> Any:
    """Follow a `$ref` within a schema.

    Raises:
        ValueError: it points elsewhere, or at nothing.
    """
    place: Any = schema
    steps = ref.split("/")
    if steps.pop(0) != "#":
        raise ValueError(f"answer refers to {ref!r}: it must stand alone, so that only #/… can be meant")
    for step in steps:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(place, dict) or name not in place:
            raise ValueError(f"answer refers to {ref!r}, and there is no such place in it")
        place = place[name]
    return place


def _told(error: "ValidationError") -> Iterator[Misfit]:
    """One misfit, or one for each property that is missing or unknown."""
    keyword = str(error.validator)
    if error.absolute_path:
        yield Misfit(str(error.absolute_path[0]), keyword)
    elif keyword == "required" and isinstance(error.instance, dict):
        required: Any = error.validator_value
        yield from (Misfit(str(name), keyword) for name in required if name not in error.instance)
    elif keyword == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        yield from (Misfit(name, keyword) for name in islice((key for key in error.instance if key not in known), MISFITS_TOLD))
    else:
        yield Misfit("", keyword)


def _parts(place: object) -> Iterator[dict[str, Any]]:
    """A schema and all the schemas in it; what its maps are keyed by are names, whatever keyword they look like."""
    if isinstance(place, dict):
        yield place
        for name, value in place.items():
            if name not in LITERAL:
                yield from _parts(list(value.values()) if name in KEYED and isinstance(value, dict) else value)
    elif isinstance(place, list):
        yield from (part for value in place for part in _parts(value))


def _validator_class(schema: dict[str, Any]) -> "type[Validator]":
    from jsonschema import Draft202012Validator  # noqa: PLC0415
    from jsonschema.validators import validator_for  # noqa: PLC0415

    dialect = schema.get("$schema")
    if dialect is None:
        return Draft202012Validator
    found: Any = validator_for({"$schema": dialect}, default=cast("Any", None))
    if found is None:
        raise ValueError(f"answer is written in {dialect!r}, which is no known version of JSON Schema")
    return cast("type[Validator]", found)


@lru_cache(maxsize=64)
def _validator(schema_json: str) -> "Validator":
    """A schema made ready, once per process; its registry is empty, so that nothing is ever fetched."""
    from referencing import Registry  # noqa: PLC0415

    schema = json.loads(schema_json)
    return _validator_class(schema)(schema, registry=Registry())


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
    if twice:
        raise DuplicateKeyError(f"{', '.join(twice)}: more than once")
    return dict(pairs)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number
