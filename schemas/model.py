"""The manners that all models share, and the names that come from content."""

import hashlib
import json
from typing import Final

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION: Final = 1


class Model(BaseModel):
    """A frozen value that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def content_name(*parts: object) -> str:
    """Name a value by its content: the first 128 bits of SHA-256 over canonical JSON, as 32 hex digits."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
