"""What every engine must do, whatever answers behind it. A new engine is one more parameter."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from asking import RED, RED_PIXELS
from chat_server import ChatServer, completion

from schemas.annotation import FIELDS
from schemas.recipe import load_recipe
from workers.engines import Ask, Engine
from workers.engines.openai import OpenAiEngine
from workers.engines.opencv import OpenCvEngine
from workers.engines.scripted import ScriptedEngine, scripted_answer
from workers.keyframe import Picture
from workers.ladder import annotate

RECIPE = load_recipe("opencv").model_copy(update={"key_order": tuple(sorted(FIELDS))})
"""A recipe that every engine takes; opencv answers for no other model than its own."""
ASK = Ask(recipe=RECIPE, max_tokens=500, temperature=0.0, seed=0)

Opening = Callable[[], AbstractAsyncContextManager[Engine]]


@asynccontextmanager
async def scripted() -> AsyncIterator[Engine]:
    yield ScriptedEngine(latency_seconds=0.01)


@asynccontextmanager
async def openai() -> AsyncIterator[Engine]:
    with ChatServer(lambda _: completion(scripted_answer(RED, RECIPE.key_order))) as server:
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
def opening(request) -> Opening:
    return request.param


def test_a_probe_returns_when_the_engine_is_ready(opening):
    async def go():
        async with opening() as engine:
            await engine.probe()

    asyncio.run(go())


def test_an_answer_is_whole_and_fits_the_schema_on_the_first_rung(opening):
    async def go():
        counts = Counter()
        async with opening() as engine:
            caption = await annotate(engine, red_for(engine), RECIPE, counts=counts)
        assert (caption.usage.rung, caption.usage.finish_reason) == ("constrained", "stop")
        assert counts == {("constrained", "accepted"): 1}

    asyncio.run(go())


def test_keys_come_in_the_recipes_order(opening):
    async def go():
        async with opening() as engine:
            answer = await engine.answer(red_for(engine), ASK)
        assert tuple(json.loads(answer.text)) == RECIPE.key_order

    asyncio.run(go())


def test_as_many_questions_as_it_names_are_answered_side_by_side(opening):
    async def go():
        async with opening() as engine:
            assert engine.concurrency >= 1
            answers = await asyncio.gather(*(engine.answer(red_for(engine), ASK) for _ in range(engine.concurrency)))
        assert len({answer.text for answer in answers}) == 1

    asyncio.run(go())


def test_a_cancelled_question_takes_no_place(opening):
    async def go():
        async with opening() as engine:
            for _ in range(engine.concurrency + 1):
                asking = asyncio.create_task(engine.answer(red_for(engine), ASK))
                await asyncio.sleep(0)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            assert (await engine.answer(red_for(engine), ASK)).finish_reason == "stop"

    asyncio.run(go())


def test_it_names_itself_for_the_records(opening):
    async def go():
        async with opening() as engine:
            assert engine.versions["engine"] == opening.__name__
            assert all(isinstance(text, str) and text for pair in engine.versions.items() for text in pair)

    asyncio.run(go())


def test_closing_twice_is_harmless(opening):
    async def go():
        async with opening() as engine:
            await engine.close()
            await engine.close()

    asyncio.run(go())
