"""The compose file holds to the Compose Specification, by models that were made from its JSON schema."""

from typing import Any

import pytest
from compose_pydantic.models import ComposeSpecification
from composed import document
from pydantic import ValidationError


def test_the_specification_allows_all_of_it() -> None:
    held = ComposeSpecification.model_validate(document({}))
    assert held.services is not None
    assert {"worker", "redis", "s3"} <= set(held.services)


@pytest.mark.parametrize(
    "where", [("services", "worker"), ("services", "worker", "healthcheck"), ("services", "tools", "build"), ("networks", "front")]
)
def test_it_refuses_what_it_does_not_know(where: tuple[str, ...]) -> None:
    found: Any = document({})
    part = found
    for name in where:
        part = part[name]
    part["surprise"] = "x"
    with pytest.raises(ValidationError, match="surprise"):
        ComposeSpecification.model_validate(found)


@pytest.mark.parametrize(
    ("key", "wrong"), [("restart", 5), ("depends_on", {"redis": {"condition": "perhaps"}}), ("mem_limit", []), ("ports", 9101)]
)
def test_it_refuses_values_that_make_no_sense(key: str, wrong: Any) -> None:
    found = document({})
    found["services"]["worker"][key] = wrong
    with pytest.raises(ValidationError, match=key):
        ComposeSpecification.model_validate(found)
