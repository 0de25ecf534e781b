"""Everything that decides an answer: the recipe, its fingerprint, and the TOML it is written in."""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from schemas.annotation import FIELDS, answer_schema
from schemas.answer import check_schema, strict_json
from schemas.errors import OperatorError
from schemas.model import Model, content_name

HOUSE_RECIPES = Path(__file__).parent / "recipes"
RESERVED = ("temperature", "top_p", "seed", "max_tokens", "n", "stream", "response_format", "structured_outputs", "output_kind")
"""Parameters of an engine's sampling that have a name of ours, or are the engine room's business."""


class LaterFields(Model):
    """A part of a recipe whose dump leaves out what came later while it is empty, so that recipes keep the ids they had before."""

    LATER: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_what_it_does_not_ask(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        return {name: value for name, value in fields.items() if value or name not in self.LATER}


class ModelRef(LaterFields):
    """Which weights answer."""

    LATER = frozenset({"engine"})

    name: Annotated[str, Field(min_length=1)]
    revision: str
    quantization: str = "none"
    engine: dict[str, Any] = Field(default_factory=dict)
    """The engine's own arguments where they decide answers, such as `mm_processor_kwargs`."""


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


class SamplingParams(LaterFields):
    """How tokens are drawn."""

    LATER = frozenset({"extra"})

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.1
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: int = 0
    max_tokens: Annotated[int, Field(ge=16, le=32768)] = 2000
    extra: dict[str, Any] = Field(default_factory=dict)
    """Sampling parameters of the engine that have no name of ours, such as `repetition_penalty`."""

    @field_validator("extra")
    @classmethod
    def _names_nothing_that_has_its_place(cls, extra: dict[str, Any]) -> dict[str, Any]:
        if taken := [name for name in extra if name in RESERVED]:
            raise ValueError(f"{', '.join(taken)} cannot stand here: a field of ours says it, or the engine decides it")
        return extra


class KeyframePolicy(LaterFields):
    """Which keyframes of a video are captioned. The fields hold in the order gap, scenes, number, duplicates; zero lifts a limit."""

    LATER = frozenset({"scene_threshold", "duplicate_distance"})

    min_gap_seconds: Annotated[float, Field(ge=0)] = 2.0
    max_per_video: Annotated[int, Field(ge=0)] = 64
    scene_threshold: Annotated[float, Field(ge=0, le=255)] = 0.0
    """Take only keyframes that differ by so much from the one before: PySceneDetect's `content_val`, whose usual threshold is 27."""
    duplicate_distance: Annotated[float, Field(ge=0, le=255)] = 0.0
    """Copy the caption of the last captioned keyframe to one that is no farther from it than this, see `workers.similarity`."""


class ImageSize(Model):
    """The largest picture the engine is given; frames are scaled down to fit, never up, and keep their shape."""

    max_width: Annotated[int, Field(ge=32, le=4096)] = 896
    max_height: Annotated[int, Field(ge=32, le=4096)] = 896
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 90


class Recipe(LaterFields):
    """One way of captioning frames. Two recipes that could answer differently have different ids."""

    LATER = frozenset({"answer"})

    name: str
    model: ModelRef
    prompt: Prompt
    key_order: tuple[str, ...] = FIELDS
    answer: dict[str, Any] | None = None
    """JSON Schema of the answer, where it is not the nine fields."""
    sampling: SamplingParams = SamplingParams()
    keyframes: KeyframePolicy = KeyframePolicy()
    image: ImageSize = ImageSize()

    @model_validator(mode="before")
    @classmethod
    def _keys_are_in_the_schemas_order_unless_asked(cls, table: Any) -> Any:
        match table:
            case {"key_order": _}:
                return table
            case {"answer": {"properties": dict(properties)}}:
                return {**table, "key_order": tuple(properties)}
            case _:
                return table

    @field_validator("answer")
    @classmethod
    def _answer_is_a_schema(cls, answer: dict[str, Any] | None) -> dict[str, Any] | None:
        if answer is not None:
            check_schema(answer)
        return answer

    @model_validator(mode="after")
    def _key_order_names_every_field_once(self) -> Self:
        fields = FIELDS if self.answer is None else tuple(self.answer["properties"])
        if sorted(self.key_order) != sorted(fields):
            message = f"key_order must name each of these once: {', '.join(fields)}"
            raise ValueError(message)
        return self

    @property
    def answer_schema(self) -> dict[str, Any]:
        """JSON Schema of an answer with its keys in order, since a constrained decoder writes them in that order."""
        if self.answer is None:
            return answer_schema(self.key_order)
        return {**self.answer, "properties": {key: self.answer["properties"][key] for key in self.key_order}}

    @property
    def recipe_id(self) -> str:
        """Fingerprint of all that decides an answer: everything but the recipe's own name, and the schema of the answer."""
        schema = self.answer_schema if self.answer is None else json.dumps(self.answer_schema)  # text keeps the order of keys
        return content_name("recipe", self.model_dump(mode="json", exclude={"name"}), schema)


def house_recipes() -> list[str]:
    """Names of the recipes that ship with the fleet."""
    return sorted(path.stem for path in HOUSE_RECIPES.glob("*.toml"))


def load_recipe(name_or_path: str) -> Recipe:
    """Read a recipe by its house name, from a TOML file (with its `answer_file` and prompt `*_file`s beside it) or from a job's JSON.

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
        return Recipe.model_validate_json(text) if path.suffix == ".json" else _from_toml(text.decode(), path.parent)
    except (OSError, ValueError) as error:  # TOML's, pydantic's and Unicode's errors are ValueErrors
        message = f"Recipe {name_or_path!r} is not valid: {error}"
        raise OperatorError(message) from error


def _from_toml(text: str, folder: Path) -> Recipe:
    return Recipe.model_validate(_with_files(tomllib.loads(text), folder))


def _with_files(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    rest = {key: value for key, value in table.items() if key != "answer_file"}
    if isinstance(table.get("prompt"), dict):
        rest["prompt"] = _prompt(table["prompt"], folder)
    if "answer_file" in table:
        if "answer" in table:
            raise ValueError("answer and answer_file cannot both be given")
        rest["answer"] = strict_json(_text("answer_file", table["answer_file"], folder))
    return rest


def _prompt(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The prompt's texts, byte for byte."""
    texts = {key: value for key, value in table.items() if not key.endswith("_file")}
    return texts | {key.removesuffix("_file"): _text(f"prompt.{key}", value, folder) for key, value in table.items() if key not in texts}


def _text(key: str, name: object, folder: Path) -> str:
    if not isinstance(name, str):
        message = f"{key} must name a file"
        raise ValueError(message)  # noqa: TRY004 - told to the operator with the other values that do not fit
    return (folder / name).read_bytes().decode()
