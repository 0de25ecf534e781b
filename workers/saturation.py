"""Measures what an engine alone can do: kept full with made pictures, nothing decoded and nothing validated."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from schemas.errors import OperatorError
from schemas.recipe import ImageSize, Recipe
from workers.ceiling import Ceiling, engine_words
from workers.engines import Answer, Ask, Engine
from workers.keyframe import Form, Picture
from workers.metered import Meter

SPARE = 1.25
"""Questions in flight for each that the engine can use, so that it never waits for the next."""
ROUNDS = 4
"""How often over the engine is filled while the clock runs, unless somebody says how many frames."""
FEWEST_FRAMES = 32
GRAIN_PIXELS = 8
"""Side of the squares that pictures are made of: their JPEGs are about as large as a photograph's."""
WHOLE = frozenset({"stop", "length"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How an engine is loaded while it is measured."""

    in_flight: int
    warm_up: int
    """Answers before the clock starts."""
    frames: int
    """Answers while it runs."""

    @classmethod
    def of(cls, concurrency: int, *, frames: int | None) -> "Load":
        """Fill an engine. Answers of one length come in waves, so that a number of frames that fills it some times over is exact."""
        rounds = math.ceil(FEWEST_FRAMES / concurrency)
        counted = frames or max(ROUNDS, rounds) * concurrency
        return cls(in_flight=math.ceil(SPARE * concurrency), warm_up=concurrency, frames=counted)

    @property
    def pictures(self) -> int:
        """Pictures that it takes: the engine is kept full until the last answer that counts."""
        return self.warm_up + self.frames + self.in_flight


@dataclass(slots=True, kw_only=True)
class Stopwatch:
    """Counts answers and what they cost, from the end of the warm-up to the last that counts."""

    load: Load
    most_seconds: float
    clock: Callable[[], float] = time.perf_counter
    meter: Meter = field(default_factory=Meter)
    seconds: float = 0.0
    _answers: int = 0
    _started_at: float = 0.0

    @property
    def over(self) -> bool:
        """Whether enough was measured."""
        return self.meter.questions >= self.load.frames or (self.meter.questions > 0 and self.seconds >= self.most_seconds)

    def count(self, answer: Answer) -> None:
        """Count an answer as it comes.

        Raises:
            OperatorError: the engine did not finish it.
        """
        if answer.finish_reason not in WHOLE:
            raise OperatorError(f"The engine ended an answer with {answer.finish_reason[:40]!r}; nothing can be measured of it.")
        self._answers += 1
        if self._answers == self.load.warm_up:
            self._started_at = self.clock()
        elif self._answers > self.load.warm_up and not self.over:
            self.meter.count(answer)
            self.seconds = self.clock() - self._started_at


async def measure(
    engine: Engine,
    recipe: Recipe,
    *,
    answer_tokens: int,
    machine: str,
    frames: int | None = None,
    most_seconds: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> Ceiling:
    """Keep an engine full until `frames` answers are counted or `most_seconds` have passed.

    Raises:
        OperatorError: the engine does not finish its answers.
        FleetError: it does not answer, as `Engine.answer` says.
    """
    load = Load.of(engine.concurrency, frames=frames)
    pictures = await asyncio.to_thread(lambda: list(made_pictures(load.pictures, recipe.image, engine.takes)))
    watch = Stopwatch(load=load, most_seconds=most_seconds, clock=clock)
    await _saturate(engine, pictures, lambda: _ask(recipe, answer_tokens), watch)
    return _ceiling(engine, recipe, watch, answer_tokens=answer_tokens, machine=machine)


def made_pictures(count: int, image: ImageSize, form: Form) -> Iterator[Picture]:
    """Make coloured grain of the recipe's largest size, no two alike, so that no cache knows one."""
    dice = np.random.default_rng(count)
    height, width = image.max_height, image.max_width
    rows, columns = math.ceil(height / GRAIN_PIXELS), math.ceil(width / GRAIN_PIXELS)
    for _ in range(count):
        grain = dice.integers(0, 256, (rows, columns, 3), np.uint8)
        pixels = np.ascontiguousarray(grain.repeat(GRAIN_PIXELS, axis=0).repeat(GRAIN_PIXELS, axis=1)[:height, :width])
        yield Picture.of(pixels, form=form, jpeg_quality=image.jpeg_quality)


def _ask(recipe: Recipe, answer_tokens: int) -> Ask:
    """One question; each needs its own, which keeps what was said."""
    sampling = recipe.sampling
    return Ask(recipe, answer_tokens, sampling.temperature, sampling.seed, constrained=False, exact_tokens=True)


async def _saturate(engine: Engine, pictures: list[Picture], ask: Callable[[], Ask], watch: Stopwatch) -> None:
    """Ask in so many lanes at once until enough is measured; what is still in flight then is taken back."""
    lanes = [asyncio.create_task(_lane(engine, pictures, ask, watch)) for _ in range(watch.load.in_flight)]
    try:
        done, _ = await asyncio.wait(lanes, return_when=asyncio.FIRST_COMPLETED)
        for lane in done:
            lane.result()
    finally:
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)


async def _lane(engine: Engine, pictures: list[Picture], ask: Callable[[], Ask], watch: Stopwatch) -> None:
    while not watch.over:
        watch.count(await engine.answer(pictures.pop(), ask()))


def _ceiling(engine: Engine, recipe: Recipe, watch: Stopwatch, *, answer_tokens: int, machine: str) -> Ceiling:
    tokens = watch.meter.tokens
    return Ceiling(
        engine=engine_words(engine.versions),
        model=recipe.model,
        image=recipe.image,
        machine=machine,
        recipe=recipe.name,
        recipe_id=recipe.recipe_id,
        answer_tokens=answer_tokens,
        in_flight=watch.load.in_flight,
        frames=watch.meter.questions,
        seconds=watch.seconds,
        frames_per_second=watch.meter.questions / watch.seconds,
        prompt_tokens_per_second=_rate(tokens, "prompt", watch.seconds),
        cached_tokens_per_second=_rate(tokens, "cached", watch.seconds),
        output_tokens_per_second=_rate(tokens, "output", watch.seconds),
        versions=engine.versions,
        measured_at=datetime.now(UTC),
    )


def _rate(tokens: Counter[str], kind: str, seconds: float) -> float | None:
    return tokens[kind] / seconds if kind in tokens else None
