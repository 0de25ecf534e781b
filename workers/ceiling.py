"""What an engine alone can do on a machine: the figure that a worker's own is held against, and where it is kept."""

import logging
import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from schemas.errors import OperatorError
from schemas.model import Model, content_name
from schemas.recipe import ImageSize, ModelRef, Recipe

log = logging.getLogger(__name__)


class Ceiling(Model):
    """What was measured of a saturated engine, and with what."""

    engine: str
    """The engine's name, with its host if it is reached over HTTP."""
    model: ModelRef
    image: ImageSize
    machine: str
    recipe: str
    recipe_id: str
    answer_tokens: int
    """Tokens that each answer was to have."""
    in_flight: int
    """Questions that were in flight all the time."""
    frames: int
    """Answers that were counted, after the warm-up."""
    seconds: float
    """Wall time that they took."""
    frames_per_second: float
    prompt_tokens_per_second: float | None
    """The image's tokens among them; None where the engine does not count."""
    cached_tokens_per_second: float | None
    """Prompt tokens out of the engine's prefix cache."""
    output_tokens_per_second: float | None
    versions: dict[str, str]
    """Of the engine and of what is below it."""
    measured_at: datetime


class Ceilings:
    """Ceilings in a folder: a file for each engine, model, image size and machine."""

    def __init__(self, folder: str | None = None, *, told: float | None = None) -> None:
        self.told = told
        """Frames per second where nothing was measured here, as an operator has it from a machine alike; None if nobody knows."""
        self._folder = default_folder(os.environ) if folder is None else Path(folder)

    def keep(self, ceiling: Ceiling) -> Path:
        """Store a ceiling in place of an older one; returns its file.

        Raises:
            OperatorError: it cannot be written.
        """
        path = self._folder / file_name(ceiling.engine, ceiling.model, ceiling.image, machine=ceiling.machine)
        fresh = path.with_suffix(f".{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh.write_text(ceiling.model_dump_json(indent=2) + "\n", encoding="utf-8")
            fresh.replace(path)
        except OSError as error:
            message = f"The ceiling cannot be stored ({error}); name another folder in FRAMEFLEET_CEILING_DIR."
            raise OperatorError(message) from error
        return path

    def find(self, recipe: Recipe, *, engine: str, machine: str) -> Ceiling | None:
        """Find what was measured with this recipe's model and image size; None if there is none, or none that can be read."""
        path = self._folder / file_name(engine, recipe.model, recipe.image, machine=machine)
        try:
            return Ceiling.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            log.warning("the ceiling in %s cannot be read; measure it again: framefleet bench engine (%s)", path, error)
            return None


def default_folder(environ: Mapping[str, str]) -> Path:
    """The user's cache folder, as the XDG Base Directory Specification has it: relative paths in it are not to be believed."""
    cache = Path(environ.get("XDG_CACHE_HOME", ""))
    home = Path(environ.get("HOME", "/"))
    return (cache if cache.is_absolute() else home / ".cache") / "framefleet" / "ceilings"


def engine_words(versions: Mapping[str, str]) -> str:
    """Name an engine by what it says of itself: `vllm`, or `openai at host:8000`."""
    endpoint = versions.get("endpoint")
    return f"{versions['engine']} at {endpoint}" if endpoint else versions["engine"]


def file_name(engine: str, model: ModelRef, image: ImageSize, *, machine: str) -> str:
    """Name a ceiling's file by all that another ceiling could differ in, the start of it for people to read."""
    told = re.sub(r"[^A-Za-z0-9.]+", "-", f"{engine} {model.name.rpartition('/')[2]} {image.max_width}x{image.max_height}")
    exact = content_name(engine, model.model_dump(mode="json"), image.model_dump(mode="json"), machine)
    return f"{told[:80]}-{exact[:16]}.json"
