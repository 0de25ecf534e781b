"""A vLLM engine that lives for all tests of a session, on an event loop of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from schemas.recipe import ImageSize, ModelRef, Prompt, Recipe, SamplingParams
from workers.engines import Answer, Ask, Engine
from workers.engines.vllm import VllmEngine
from workers.keyframe import Form, Picture

T = TypeVar("T")
SMALL: dict[str, Any] = {"max_num_seqs": 4, "enforce_eager": True, "kv_cache_memory_bytes": 64 << 20}
"""What a tiny model needs of a machine."""
ONE_WORD = {"type": "string", "maxLength": 12}
SCHEMA = {
    "type": "object",
    "properties": {"setting": ONE_WORD, "things": {"type": "array", "items": ONE_WORD, "maxItems": 3}, "people": {"type": "boolean"}},
    "required": ["setting", "things", "people"],
    "additionalProperties": False,
}
"""Random weights fill every string, so that the longest answer has to fit the tokens."""
RECIPE = Recipe(
    name="tiny",
    model=ModelRef(name="tiny-gemma3", revision="1"),
    prompt=Prompt(short_text="You describe pictures.", long_text="Say what is in the picture, as JSON."),
    sampling=SamplingParams(temperature=0.0, max_tokens=200),
    image=ImageSize(max_width=128, max_height=128),
    answer=SCHEMA,
)


def like(**fields: Any) -> Recipe:
    """The recipe with other fields."""
    return Recipe.model_validate(RECIPE.model_dump(exclude={"key_order"}) | fields)


def picture(seed: int) -> Picture:
    """Noise, which is another for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 255, (72, 128, 3), dtype=np.uint8)
    return Picture.of(pixels, form=Form.RGB, jpeg_quality=90)


class Hosted:
    """An engine on another thread's loop, which can be asked from any loop."""

    def __init__(self, engine: VllmEngine, loop: asyncio.AbstractEventLoop) -> None:
        self.engine = engine
        self.concurrency, self.takes, self.versions = engine.concurrency, engine.takes, engine.versions
        self._loop = loop

    async def answer(self, asked: Picture, ask: Ask) -> Answer:
        return await self._there(self.engine.answer(asked, ask))

    async def probe(self) -> None:
        await self._there(self.engine.probe())

    def waiting(self) -> int | None:
        return self.engine.waiting()

    async def close(self) -> None:
        """Leave it to the session to close it."""

    def unfinished(self) -> int:
        """Requests that the engine has not done with."""
        return self.engine._engine.output_processor.get_num_unfinished_requests()

    def _there(self, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Future[T]":
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))


@contextmanager
def hosted(model: Path, recipe: Recipe = RECIPE, **args: Any) -> Iterator[Hosted]:
    """Host a checkpoint while the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        engine = asyncio.run_coroutine_threadsafe(_make(model, recipe, SMALL | args), loop).result()
        try:
            yield Hosted(engine, loop)
        finally:
            asyncio.run_coroutine_threadsafe(engine.close(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _make(model: Path, recipe: Recipe, args: dict[str, Any]) -> VllmEngine:
    return VllmEngine(recipe=recipe, model=str(model), args=args)


def asked(engine: Engine, *pictures: Picture, **how: Any) -> list[Answer]:
    """Put one question about each picture, all at once."""
    ask = {"recipe": RECIPE, "max_tokens": RECIPE.sampling.max_tokens, "temperature": 0.0, "seed": 0} | how

    async def go() -> list[Answer]:
        return await asyncio.gather(*(engine.answer(one, Ask(**ask)) for one in pictures))

    return asyncio.run(go())
