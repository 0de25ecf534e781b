"""What the tests of the repair ladder share: engines that say what they are told to, and climbs on them."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence

import pytest

from schemas.annotation import FIELDS, FrameAnnotation
from schemas.errors import PermanentError
from schemas.reasons import Reason, Stage
from schemas.recipe import ModelRef, Prompt, Recipe, SamplingParams
from workers.engines import Answer, Ask
from workers.engines.scripted import scripted_answer
from workers.keyframe import Form, Picture
from workers.ladder import annotate

PICTURE = Picture(b"no real file", width=16, height=16, form=Form.JPEG)
PROMPT = Prompt(short_text="Be brief.", long_text="Describe.")
RECIPE = Recipe(name="test", model=ModelRef(name="tiny", revision="1"), prompt=PROMPT, sampling=SamplingParams(seed=7, max_tokens=1000))
GOOD = scripted_answer(PICTURE, FIELDS)
ANNOTATION = FrameAnnotation.model_validate_json(GOOD)


def changed(**fields):
    return json.dumps(json.loads(GOOD) | fields)


def stop(text, *tokens):
    return Answer(text, "stop", *tokens)


CUT = Answer(GOOD[:50], "length")
LOOPED = Answer(GOOD[:50] + " " * 500, "repetition")
ABORTED = Answer("", "abort")
SENSELESS = stop("no JSON here")
TOO_MANY = stop(changed(objects=["a thing"] * 11))
REFUSAL = PermanentError(Reason.ENGINE_REFUSED, Stage.CAPTION, "status 400: too many tokens")


class Teller:
    """An engine that says what it was told to, in turn, and remembers how it was asked."""

    concurrency = 1
    versions = {"engine": "teller"}  # noqa: RUF012 - the protocol's field

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.asks: list[Ask] = []

    async def answer(self, _picture: Picture, ask: Ask) -> Answer:
        self.asks.append(ask)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def probe(self) -> None: ...

    async def close(self) -> None: ...


class Dawdler(Teller):
    """A teller whose last answer does not come: it has said this much of it."""

    def __init__(self, *answers: Answer, said: Sequence[str] = ()) -> None:
        super().__init__(*answers)
        self.said = said
        self.cancelled = 0

    async def answer(self, picture: Picture, ask: Ask) -> Answer:
        if self.answers:
            return await super().answer(picture, ask)
        ask.said.extend(self.said)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        raise AssertionError


def climb(*answers, recipe=RECIPE, counts=None):
    counts = Counter() if counts is None else counts
    return asyncio.run(annotate(Teller(*answers), PICTURE, recipe, counts=counts, deadline_seconds=60))


def fall(*answers, recipe=RECIPE):
    with pytest.raises(PermanentError) as caught:
        climb(*answers, recipe=recipe)
    return caught.value


def run_out_of_time(engine, *, counts=None, deadline_seconds=0.5):
    counts = Counter() if counts is None else counts
    with pytest.raises(PermanentError) as caught:
        asyncio.run(annotate(engine, PICTURE, RECIPE, counts=counts, deadline_seconds=deadline_seconds))
    assert (caught.value.reason, caught.value.stage) == (Reason.ENGINE_TIMEOUT, Stage.CAPTION)
    return caught.value


def asks_of(*answers, recipe=RECIPE):
    engine = Teller(*answers)
    asyncio.run(annotate(engine, PICTURE, recipe, counts=Counter(), deadline_seconds=60))
    return engine.asks
