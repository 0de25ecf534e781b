"""Makes up a small instance of a JSON Schema, the same for the same seed.

Understood: type, const, enum, properties, required, items, prefixItems, minItems, maxItems, minLength, maxLength, minimum, maximum,
their exclusive forms, multipleOf, anyOf, oneOf (whose first choice is taken), allOf of objects' parts, and `$ref` within the schema.
What may be left out is left out, but for the properties of the object itself. Whatever else bounds a value is refused.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.answer import pointed_at
from schemas.errors import UnsuitableError

FOREIGN = frozenset(
    {
        *("pattern", "contains", "minContains", "maxContains", "uniqueItems", "propertyNames", "minProperties", "patternProperties"),
        *(
            "not",
            "if",
            "then",
            "else",
            "dependentRequired",
            "dependentSchemas",
            "dependencies",
            "unevaluatedProperties",
            "unevaluatedItems",
        ),
    }
)
DEEPEST = 32
STEP = 2_654_435_761
"""Odd and near 2**32 over the golden ratio, so that neighbours differ (Knuth's multiplicative hash)."""


def instance_of(schema: dict[str, Any], *, seed: int) -> Any:
    """Make one up.

    Raises:
        UnsuitableError: the schema asks for what is not understood here.
    """
    return _Inventor(schema).value(schema, seed, depth=0)


@dataclass(frozen=True, slots=True)
class _Inventor:
    root: dict[str, Any]

    def value(self, schema: Any, seed: int, *, depth: int) -> Any:
        given = self._plain(schema, depth)
        if depth > DEEPEST or FOREIGN & given.keys():
            asked = ", ".join(sorted(FOREIGN & given.keys())) or "endless nesting"
            raise UnsuitableError(f"The scripted engine cannot make up an answer to {asked} in the recipe's schema; choose another engine.")
        match given:
            case {"const": value}:
                return value
            case {"enum": [*values]}:
                return values[seed % len(values)]
            case _:
                return self._typed(given, seed, depth)

    def _plain(self, schema: Any, depth: int) -> Mapping[str, Any]:
        """A schema with its references, choices and parts written out."""
        given: dict[str, Any] = schema if isinstance(schema, dict) else {}
        rest = {name: value for name, value in given.items() if name not in {"$ref", "anyOf", "oneOf", "allOf"}}
        match given:
            case {"$ref": str(ref)} if depth <= DEEPEST:
                return {**self._plain(pointed_at(self.root, ref), depth + 1), **rest}
            case {"anyOf": [choice, *_]} | {"oneOf": [choice, *_]}:
                return {**rest, **self._plain(choice, depth + 1)}
            case {"allOf": [*parts]}:
                return _joined([rest, *(self._plain(part, depth + 1) for part in parts)])
            case _:
                return given

    def _typed(self, given: Mapping[str, Any], seed: int, depth: int) -> Any:
        kind = _type_of(given)
        if kind == "object":
            return self._object(given, seed, depth)
        if kind == "array":
            return self._array(given, seed, depth)
        return _scalar(kind, given, seed)

    def _object(self, given: Mapping[str, Any], seed: int, depth: int) -> dict[str, Any]:
        properties, required = given.get("properties", {}), given.get("required", ())
        names = [name for name in properties if depth == 0 or name in required]
        names += [name for name in required if name not in properties]
        return {name: self.value(properties.get(name, {}), _mixed(seed, place), depth=depth + 1) for place, name in enumerate(names)}

    def _array(self, given: Mapping[str, Any], seed: int, depth: int) -> list[Any]:
        prefix, least = given.get("prefixItems", []), given.get("minItems", 0)
        wanted = min(max(least, len(prefix), depth == 1), given.get("maxItems", math.inf))
        kinds = [*prefix, *[given.get("items", {})] * int(wanted)][: int(wanted)]
        return [self.value(kind, _mixed(seed, place), depth=depth + 1) for place, kind in enumerate(kinds)]


def _type_of(given: Mapping[str, Any]) -> str:
    match given.get("type"):
        case str(name):
            return name
        case [str(name), *_]:
            return name
        case _:
            return "object" if "properties" in given else "array" if "items" in given else "string"


def _joined(parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    """What all parts ask, where they do not contradict each other."""
    joined: dict[str, Any] = {}
    for part in parts:
        merged = {"properties": joined.get("properties", {}) | part.get("properties", {})}
        merged["required"] = [*joined.get("required", ()), *part.get("required", ())]
        joined |= {**part, **{name: value for name, value in merged.items() if value}}
    return joined


def _scalar(kind: str, given: Mapping[str, Any], seed: int) -> Any:
    match kind:
        case "integer":
            return int(_number(given, seed, step=1))
        case "number":
            return _number(given, seed, step=0.5)
        case "boolean":
            return bool(seed & 1)
        case "null":
            return None
        case _:
            return _text(given, seed)


def _text(given: Mapping[str, Any], seed: int) -> str:
    """A word that ends in the seed, as long as it must and may be."""
    word = f"thing {seed % 2**32:08x}".rjust(given.get("minLength", 0), "a")
    return word[max(0, len(word) - given.get("maxLength", len(word))) :]


def _number(given: Mapping[str, Any], seed: int, *, step: float) -> float:
    """One of a hundred steps above the lower bound, or below the upper one."""
    step = given.get("multipleOf", step)
    lows = [given["minimum"]] if "minimum" in given else []
    lows += [given["exclusiveMinimum"] + step / 2] if "exclusiveMinimum" in given else []
    highs = [given["maximum"]] if "maximum" in given else []
    highs += [given["exclusiveMaximum"] - step / 2] if "exclusiveMaximum" in given else []
    high = min(highs, default=math.inf)
    low = max(lows, default=min(0, high - 100 * step))
    first = math.ceil(low / step)
    last = min(math.floor(high / step) if math.isfinite(high) else first + 100, first + 100)
    return (first + seed % max(1, last - first + 1)) * step


def _mixed(seed: int, place: int) -> int:
    return ((seed + place + 1) * STEP) % 2**32
