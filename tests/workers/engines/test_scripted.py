import asyncio
import json
import time
from dataclasses import replace

import numpy as np
import pytest
from asking import ASK, RECIPE, RED

from schemas.answer import misfits
from workers.engines.scripted import Load, ScriptedEngine
from workers.keyframe import Form, Picture

BLUE = Picture.of(np.full((48, 64, 3), (0, 0, 200), np.uint8), form=Form.JPEG, jpeg_quality=90)


async def ask_side_by_side(engine: ScriptedEngine, questions: int) -> float:
    started = time.monotonic()
    await asyncio.gather(*(engine.answer(RED, ASK) for _ in range(questions)))
    return time.monotonic() - started


def test_the_same_pixels_get_the_same_answer_and_others_another():
    async def go() -> list[str]:
        engine = ScriptedEngine()
        return [(await engine.answer(picture, ASK)).text for picture in (RED, RED, BLUE)]

    first, again, other = asyncio.run(go())
    assert first == again != other


def test_keys_come_in_the_recipes_order():
    answer = asyncio.run(ScriptedEngine().answer(RED, ASK))
    assert tuple(json.loads(answer.text)) == RECIPE.key_order


def test_a_recipes_own_schema_is_answered_after_the_picture():
    table = {"type": "object", "properties": {"mood": {"enum": [*range(1000)]}, "place": {"type": "string"}}, "required": ["mood"]}
    ask = replace(ASK, recipe=RECIPE.model_copy(update={"answer": table, "key_order": ("place", "mood")}))

    async def go() -> list[str]:
        return [(await ScriptedEngine().answer(picture, ask)).text for picture in (RED, RED, BLUE)]

    first, again, other = asyncio.run(go())
    assert first == again != other
    assert tuple(json.loads(first)) == ("place", "mood")
    assert misfits(json.loads(first), table) == []


def test_more_questions_than_slots_wait_their_turn():
    wall_seconds = asyncio.run(ask_side_by_side(ScriptedEngine(latency_seconds=0.1, concurrency=2), 6))
    assert 0.3 <= wall_seconds < 0.6


def test_load_tells_how_much_of_the_time_the_slots_were_taken():
    engine = ScriptedEngine(latency_seconds=0.1, concurrency=4)
    wall_seconds = asyncio.run(ask_side_by_side(engine, 2))
    load = engine.load()
    assert load.answered == 2
    assert load.in_flight == 0
    assert load.busy_seconds == pytest.approx(wall_seconds / 2, abs=0.05)
    assert load.busy_share == pytest.approx(0.5, abs=0.1)
    assert load.last_at - load.started_at == pytest.approx(wall_seconds, abs=0.05)
    assert engine.load() == load


def test_load_counts_questions_still_in_flight():
    async def go() -> Load:
        engine = ScriptedEngine(latency_seconds=60, concurrency=1)
        asking = asyncio.create_task(engine.answer(RED, ASK))
        await asyncio.sleep(0.1)
        load = engine.load()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert (engine.load().in_flight, engine.load().answered) == (0, 0)
        return load

    load = asyncio.run(go())
    assert load.in_flight == 1
    assert load.busy_share == pytest.approx(1.0, abs=0.01)


def test_an_engine_that_was_asked_nothing_has_no_load():
    assert ScriptedEngine().load() == Load()
    assert Load().busy_share == 0.0
