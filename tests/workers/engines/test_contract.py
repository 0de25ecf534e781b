"""What every engine must do, whatever answers behind it. A new engine is one more parameter."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
from asking import RED, RED_PIXELS
from chat_server import ChatServer, completion

from schemas.annotation import FIELDS
from schemas.recipe import Recipe, load_recipe
from workers.engines import Ask, Engine
from workers.engines.openai import OpenAiEngine
from workers.engines.opencv import OpenCvEngine
from workers.engines.scripted import ScriptedEngine
from workers.keyframe import Picture
from workers.ladder import annotate

RECIPE = load_recipe("opencv").model_copy(update={"key_order": tuple(sorted(FIELDS))})
"""A recipe that every engine without a model of its own takes; opencv answers for no other model than its own."""

TEXT = asyncio.run(ScriptedEngine().answer(RED, Ask(recipe=RECIPE, max_tokens=500, temperature=0.0, seed=0))).text
"""What the scripted engine says of a red picture."""


@dataclass(frozen=True)
class Candidate:
    """An engine that shall keep the contract, and the recipe that it is asked by."""

    open: Callable[[], AbstractAsyncContextManager[Engine]]
    name: str
    recipe: Recipe = RECIPE

    @property
    def ask(self) -> Ask:
        return Ask(recipe=self.recipe, max_tokens=500, temperature=0.0, seed=0)


@asynccontextmanager
async def scripted() -> AsyncIterator[Engine]:
    yield ScriptedEngine(latency_seconds=0.01)


@asynccontextmanager
async def openai() -> AsyncIterator[Engine]:
    with ChatServer(lambda _: completion(TEXT)) as server:
        engine = OpenAiEngine(base_url=server.url)
        try:
            yield engine
        finally:
            await engine.close()


@asynccontextmanager
async def opencv() -> AsyncIterator[Engine]:
    engine = OpenCvEngine()
    try:
        yield engine
    finally:
        await engine.close()


def red_for(engine: Engine) -> Picture:
    """A picture in the form that the engine takes."""
    return Picture.of(RED_PIXELS, form=engine.takes, jpeg_quality=90)


@pytest.fixture(params=[scripted, openai, opencv], ids=lambda opening: opening.__name__)
def candidate(request) -> Candidate:
    return Candidate(request.param, request.param.__name__)


def test_a_probe_returns_when_the_engine_is_ready(candidate):
    async def go():
        async with candidate.open() as engine:
            await engine.probe()

    asyncio.run(go())


def test_an_answer_is_whole_and_fits_the_schema_on_the_first_rung(candidate):
    async def go():
        counts = Counter()
        async with candidate.open() as engine:
            caption = await annotate(engine, red_for(engine), candidate.recipe, counts=counts, deadline_seconds=60)
        assert (caption.usage.rung, caption.usage.finish_reason) == ("constrained", "stop")
        assert counts == {("constrained", "accepted"): 1}

    asyncio.run(go())


def test_keys_come_in_the_recipes_order(candidate):
    async def go():
        async with candidate.open() as engine:
            answer = await engine.answer(red_for(engine), candidate.ask)
        assert tuple(json.loads(answer.text)) == candidate.recipe.key_order

    asyncio.run(go())


def test_as_many_questions_as_it_names_are_answered_side_by_side(candidate):
    async def go():
        async with candidate.open() as engine:
            assert engine.concurrency >= 1
            answers = await asyncio.gather(*(engine.answer(red_for(engine), candidate.ask) for _ in range(engine.concurrency)))
        assert len({answer.text for answer in answers}) == 1

    asyncio.run(go())


def test_a_cancelled_question_takes_no_place(candidate):
    async def go():
        async with candidate.open() as engine:
            for _ in range(engine.concurrency + 1):
                asking = asyncio.create_task(engine.answer(red_for(engine), candidate.ask))
                await asyncio.sleep(0)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            assert (await engine.answer(red_for(engine), candidate.ask)).finish_reason == "stop"

    asyncio.run(go())


def test_it_names_itself_for_the_records(candidate):
    async def go():
        async with candidate.open() as engine:
            assert engine.versions["engine"] == candidate.name
            assert all(isinstance(text, str) and text for pair in engine.versions.items() for text in pair)

    asyncio.run(go())


def test_closing_twice_is_harmless(candidate):
    async def go():
        async with candidate.open() as engine:
            await engine.close()
            await engine.close()

    asyncio.run(go())
