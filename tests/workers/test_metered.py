import asyncio

import numpy as np
import pytest
from builders import RECIPE

from schemas.errors import PermanentError
from schemas.reasons import Reason, Stage
from workers.engines import Answer, Ask
from workers.keyframe import Form, Picture
from workers.metered import Meter, Metered

RED = Picture.of(np.full((48, 64, 3), (200, 30, 30), np.uint8), form=Form.JPEG, jpeg_quality=90)
ASK = Ask(recipe=RECIPE, max_tokens=16, temperature=0.1, seed=0)


class Talker:
    """Answers with tokens of which it counts some kinds, or fails."""

    concurrency, takes, versions = 3, Form.JPEG, {"engine": "talker"}

    def __init__(self) -> None:
        self.closed = False

    async def answer(self, picture: Picture, ask: Ask) -> Answer:
        if ask.seed:
            raise PermanentError(Reason.ENGINE_REFUSED, Stage.CAPTION, "no")
        return Answer(text=str(picture.width), finish_reason="stop", prompt_tokens=900, cached_tokens=700, output_tokens=20)

    async def probe(self) -> None: ...

    def waiting(self) -> int | None:
        return 5

    async def close(self) -> None:
        self.closed = True


def test_a_metered_engine_answers_as_it_did_and_counts_what_it_answered() -> None:
    async def go() -> None:
        await metered.probe()
        assert (await metered.answer(RED, ASK)).text == "64"
        await metered.answer(RED, ASK)
        with pytest.raises(PermanentError):
            await metered.answer(RED, Ask(recipe=RECIPE, max_tokens=16, temperature=0.1, seed=1))
        await metered.close()

    engine, meter = Talker(), Meter()
    metered = Metered(engine, meter)
    asyncio.run(go())
    assert (metered.concurrency, metered.takes, metered.versions, metered.waiting()) == (3, Form.JPEG, {"engine": "talker"}, 5)
    assert (meter.questions, dict(meter.tokens), engine.closed) == (2, {"prompt": 1800, "cached": 1400, "output": 40}, True)
