"""Measures the engine of this machine alone, as the ceiling that workers are held against."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fleet import options as o
from fleet.efficiency import dollars_per_million
from fleet.report import print_rows, say
from schemas.recipe import Recipe, load_recipe
from workers.ceiling import Ceiling, Ceilings
from workers.engines import open_engine
from workers.machine import machine_words
from workers.saturation import measure
from workers.settings import EngineName, WorkerSettings, read_settings

ANSWER_TOKENS = 250

bench = typer.Typer(no_args_is_help=True, help="What this machine can do.")

Frames = Annotated[int | None, typer.Option(help="Frames to measure after the warm-up. [default: four times what the engine takes]", min=1)]
Seconds = Annotated[float, typer.Option(help="Measure no longer than this.", min=0.1)]
AnswerTokens = Annotated[int, typer.Option(help="Tokens of each answer, where the engine can be told.", min=1)]
Price = Annotated[
    float | None,
    typer.Option(help="What an hour of this machine costs in dollars.", envvar="FRAMEFLEET_GPU_DOLLARS_PER_HOUR", min=0),
]


@bench.callback()
def group() -> None:
    """What this machine can do."""


@bench.command()
def engine(
    engine: o.Engine = "opencv",
    recipe: o.RecipeName = None,
    frames: Frames = None,
    seconds: Seconds = 300.0,
    answer_tokens: AnswerTokens = ANSWER_TOKENS,
    price: Price = None,
    as_json: o.AsJson = False,  # noqa: FBT002 - a command's options are its interface
) -> None:
    """Measure what the engine alone can do here, saturated, and keep it as the ceiling of this machine's workers.

    Do it before workers start: it wants the engine for itself, and they look for the ceiling once. Settings of the engine come from
    FRAMEFLEET_* variables, as a worker's do.
    """
    chosen = recipe_name(engine, recipe)
    o.use_worker({"FRAMEFLEET_ENGINE": engine, "FRAMEFLEET_RECIPE": chosen}, broker=None)
    settings, asked = read_settings(), load_recipe(chosen)
    ceiling = asyncio.run(measured(settings, asked, answer_tokens=answer_tokens, frames=frames, most_seconds=seconds))
    show(ceiling, Ceilings(settings.ceiling_dir).keep(ceiling), price=price, as_json=as_json)


def recipe_name(engine: EngineName, asked: str | None) -> str:
    """The recipe to measure with: the one asked for, or the one that a worker's settings name or its engine goes with."""
    return asked or (read_settings().recipe if engine == "vllm" else o.ENGINE_RECIPES[engine])


async def measured(settings: WorkerSettings, recipe: Recipe, *, answer_tokens: int, frames: int | None, most_seconds: float) -> Ceiling:
    """Open the engine, measure it and close it."""
    engine = open_engine(settings)
    try:
        await engine.probe()
        return await measure(engine, recipe, answer_tokens=answer_tokens, machine=machine_words(), frames=frames, most_seconds=most_seconds)
    finally:
        await engine.close()


def show(ceiling: Ceiling, path: Path, *, price: float | None, as_json: bool) -> None:
    """Print a ceiling, with its price, as JSON or for people."""
    dollars = None if price is None else dollars_per_million(1 / ceiling.frames_per_second, dollars_per_hour=price)
    if as_json:
        figures = ceiling.model_dump(mode="json") | {"dollars_per_million_frames": dollars, "stored_in": str(path)}
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
        return
    console = Console(markup=False, emoji=False, highlight=False)
    print_rows(console, ("engine alone", "measured"), rows(ceiling, dollars, price))
    say(console, f"stored in {path}")


def rows(ceiling: Ceiling, dollars: float | None, price: float | None) -> Iterator[tuple[str, str]]:
    """What was measured and with what, leaving out what is not known."""
    yield "engine", ceiling.engine
    yield "frames/s", f"{ceiling.frames_per_second:.3f} ({ceiling.frames} frames in {ceiling.seconds:.2f} s, {ceiling.in_flight} in flight)"
    yield "GPU-seconds a frame", f"{1 / ceiling.frames_per_second:.5f}"
    if dollars is not None:
        yield "$ per million frames", f"{dollars:.2f} at {price:g} $ an hour"
    if ceiling.prompt_tokens_per_second is not None:
        cached = (ceiling.cached_tokens_per_second or 0) / ceiling.prompt_tokens_per_second
        yield "prompt tokens/s", f"{ceiling.prompt_tokens_per_second:.0f}, {cached:.0%} out of the prefix cache"
    if ceiling.output_tokens_per_second is not None:
        each = ceiling.output_tokens_per_second / ceiling.frames_per_second
        yield "output tokens/s", f"{ceiling.output_tokens_per_second:.0f}, {each:.1f} an answer of {ceiling.answer_tokens} asked"
    yield "picture", f"{ceiling.image.max_width} x {ceiling.image.max_height}"
    yield "model", f"{ceiling.model.name}@{ceiling.model.revision}, recipe {ceiling.recipe} ({ceiling.recipe_id})"
    yield "machine", ceiling.machine
    yield "versions", ", ".join(f"{name} {value}" for name, value in sorted(ceiling.versions.items()))
