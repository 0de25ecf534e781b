"""What `framefleet schema` prints: the JSON Schema of what the fleet writes and reads."""

from typing import Annotated, Any, Literal

import typer

from schemas.annotation import FrameAnnotation
from schemas.model import Model
from schemas.recipe import Recipe, load_recipe
from schemas.record import DeadLetter, FrameRecord

KINDS: dict[str, type[Model]] = {"annotation": FrameAnnotation, "record": FrameRecord, "dead-letter": DeadLetter, "recipe": Recipe}

Kind = Annotated[Literal["annotation", "record", "dead-letter", "recipe"], typer.Argument(help="Which schema.")]
RecipesAnswer = Annotated[str | None, typer.Option("--recipe", help="The annotation that this recipe asks for.")]


def described(kind: str, recipe: str | None) -> dict[str, Any]:
    """The schema of one kind; a recipe has an annotation of its own, with its keys in order.

    Raises:
        OperatorError: the recipe is not valid.
    """
    return load_recipe(recipe).answer_schema if recipe and kind == "annotation" else KINDS[kind].model_json_schema()
