"""Prints what was measured: one table, or one JSON object."""

import json
from collections.abc import Iterator, Mapping


def show(figures: Mapping[str, object], *, as_json: bool) -> None:
    """Print figures by name, which may be nested."""
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    lines = list(rows(figures))
    width = max(len(name) for name, _ in lines)
    print("\n".join(f"{name:{width}}  {value}" for name, value in lines))


def rows(figures: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Flatten nested figures to lines of a table."""
    for name, value in figures.items():
        match value:
            case dict():
                yield from ((f"{name}: {inner}", one) for inner, one in rows(value))
            case list() if value and isinstance(value[0], dict):
                yield from ((name, ", ".join(f"{key} {one}" for key, one in item.items())) for item in value)
            case _:
                yield name, value
