"""Everything that decides an answer: the recipe, its fingerprint, and the TOML it is written in."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from schemas.annotation import FIELDS, answer_schema
from schemas.errors import OperatorError
from schemas.model import Model, content_name

HOUSE_RECIPES = Path(__file__).parent / "recipes"


class ModelRef(Model):
    """Which weights answer."""

    name: Annotated[str, Field(min_length=1)]
    revision: str
    quantization: str = "none"


class Prompt(Model):
    """The model's two texts; `role_order` says which is the system's and which goes before the image."""

    short_text: str
    long_text: str
    role_order: Literal["short-is-system", "long-is-system"] = "short-is-system"

    @property
    def system(self) -> str:
        """What the system turn says."""
        return self.short_text if self.role_order == "short-is-system" else self.long_text

    @property
    def user(self) -> str:
        """What the user turn says before the image."""
        return self.long_text if self.role_order == "short-is-system" else self.short_text


class SamplingParams(Model):
    """How tokens are drawn."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.1
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: int = 0
    max_tokens: Annotated[int, Field(ge=16, le=32768)] = 2000


class KeyframePolicy(Model):
    """Which keyframes of a video are captioned. The fields hold in the order gap, scenes, number, duplicates; zero lifts a limit."""

    min_gap_seconds: Annotated[float, Field(ge=0)] = 2.0
    max_per_video: Annotated[int, Field(ge=0)] = 64
    scene_threshold: Annotated[float, Field(ge=0, le=255)] = 0.0
    """Take only keyframes that differ by so much from the one before: PySceneDetect's `content_val`, whose usual threshold is 27."""
    duplicate_distance: Annotated[float, Field(ge=0, le=255)] = 0.0
    """Copy the caption of the last captioned keyframe to one that is no farther from it than this, see `workers.similarity`."""

    @model_serializer(mode="wrap")
    def _without_what_it_does_not_ask(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what came later while it is zero, so that recipes keep the ids they had before."""
        fields: dict[str, Any] = dump(self)
        return {name: value for name, value in fields.items() if value or name in {"min_gap_seconds", "max_per_video"}}


class ImageSize(Model):
    """The largest picture the engine is given; frames are scaled down to fit, never up, and keep their shape."""

    max_width: Annotated[int, Field(ge=32, le=4096)] = 896
    max_height: Annotated[int, Field(ge=32, le=4096)] = 896
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 90


class Recipe(Model):
    """One way of captioning frames. Two recipes that could answer differently have different ids."""

    name: str
    model: ModelRef
    prompt: Prompt
    key_order: tuple[str, ...] = FIELDS
    sampling: SamplingParams = SamplingParams()
    keyframes: KeyframePolicy = KeyframePolicy()
    image: ImageSize = ImageSize()

    @model_validator(mode="after")
    def _key_order_names_every_field_once(self) -> Self:
        if sorted(self.key_order) != sorted(FIELDS):
            message = f"key_order must name each of these once: {', '.join(FIELDS)}"
            raise ValueError(message)
        return self

    @property
    def recipe_id(self) -> str:
        """Fingerprint of all that decides an answer: everything but the recipe's own name, and the schema of the answer."""
        return content_name("recipe", self.model_dump(mode="json", exclude={"name"}), answer_schema(self.key_order))


def house_recipes() -> list[str]:
    """Names of the recipes that ship with the fleet."""
    return sorted(path.stem for path in HOUSE_RECIPES.glob("*.toml"))


def load_recipe(name_or_path: str) -> Recipe:
    """Read a recipe by its house name or from a TOML file; `*_file` entries of its prompt are read byte for byte beside it.

    Raises:
        OperatorError: there is no such recipe, or it does not hold together.
    """
    path = HOUSE_RECIPES / f"{name_or_path}.toml" if name_or_path in house_recipes() else Path(name_or_path)
    try:
        text = path.read_bytes()
    except OSError as error:
        message = f"There is no recipe {name_or_path!r}: name a TOML file or one of {', '.join(house_recipes())}."
        raise OperatorError(message) from error
    try:
        return Recipe.model_validate(_with_prompt_files(tomllib.loads(text.decode()), path.parent))
    except (OSError, ValueError) as error:  # TOML's, pydantic's and Unicode's errors are ValueErrors
        message = f"Recipe {name_or_path!r} is not valid: {error}"
        raise OperatorError(message) from error


def _with_prompt_files(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    prompt = table.get("prompt")
    if not isinstance(prompt, dict):
        return table
    files = {key.removesuffix("_file"): _prompt_file(key, value, folder) for key, value in prompt.items() if key.endswith("_file")}
    texts = {key: value for key, value in prompt.items() if not key.endswith("_file")} | files
    return table | {"prompt": texts}


def _prompt_file(key: str, name: object, folder: Path) -> str:
    if not isinstance(name, str):
        message = f"prompt.{key} must name a file"
        raise ValueError(message)  # noqa: TRY004 - told to the operator with the other values that do not fit
    return (folder / name).read_bytes().decode()
