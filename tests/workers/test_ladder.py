import asyncio
import json
from collections import Counter

import pytest
from chat_server import ChatServer, completion, failure

from schemas.annotation import FIELDS, FrameAnnotation
from schemas.errors import FatalError, PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.recipe import ModelRef, Prompt, Recipe, SamplingParams
from workers.engines import Answer, Ask
from workers.engines.openai import OpenAiEngine
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


def climb(*answers, recipe=RECIPE, counts=None):
    return asyncio.run(annotate(Teller(*answers), PICTURE, recipe, counts=Counter() if counts is None else counts))


def fall(*answers):
    with pytest.raises(PermanentError) as caught:
        climb(*answers)
    return caught.value


def asks_of(*answers, recipe=RECIPE):
    engine = Teller(*answers)
    asyncio.run(annotate(engine, PICTURE, recipe, counts=Counter()))
    return engine.asks


def test_a_good_answer_is_accepted_at_once():
    caption = climb(stop(GOOD))
    assert caption.annotation == ANNOTATION
    assert (caption.usage.rung, caption.usage.finish_reason) == ("constrained", "stop")
    assert 0 < caption.seconds < 1


def test_the_first_question_is_the_recipes():
    assert asks_of(stop(GOOD)) == [Ask(recipe=RECIPE, max_tokens=1000, temperature=0.1, seed=7, constrained=True)]


def test_an_answer_cut_at_the_limit_is_asked_for_again_with_twice_the_limit():
    assert climb(CUT, stop(GOOD)).usage.rung == "longer"
    _, longer = asks_of(CUT, stop(GOOD))
    assert longer == Ask(recipe=RECIPE, max_tokens=2000, temperature=0.1, seed=7, constrained=True)


@pytest.mark.parametrize("first", [SENSELESS, TOO_MANY, ABORTED])
def test_an_answer_that_does_not_fit_is_asked_for_again_with_another_seed_and_warmer(first):
    assert climb(first, stop(GOOD)).usage.rung == "reseeded"
    _, reseeded = asks_of(first, stop(GOOD))
    assert reseeded == Ask(recipe=RECIPE, max_tokens=1000, temperature=pytest.approx(0.3), seed=8, constrained=True)


def test_the_last_question_is_free_and_takes_the_first_object_in_the_text():
    caption = climb(SENSELESS, SENSELESS, stop(f"Here you are:\n```json\n{GOOD}\n```\nAnything else?"))
    assert (caption.usage.rung, caption.annotation) == ("free", ANNOTATION)
    *_, free = asks_of(SENSELESS, SENSELESS, stop(GOOD))
    assert free == Ask(recipe=RECIPE, max_tokens=1000, temperature=pytest.approx(0.3), seed=9, constrained=False)


@pytest.mark.parametrize(
    ("answers", "rungs"),
    [
        ((CUT, CUT), ["constrained", "longer", "free"]),
        ((CUT, SENSELESS, SENSELESS), ["constrained", "longer", "reseeded", "free"]),
        ((SENSELESS, CUT), ["constrained", "reseeded", "free"]),
        ((ABORTED, ABORTED), ["constrained", "reseeded", "free"]),
        ((CUT, REFUSAL), ["constrained", "longer", "free"]),
        ((SENSELESS, REFUSAL), ["constrained", "reseeded", "free"]),
    ],
)
def test_the_way_up(answers, rungs):
    counts = Counter()
    climb(*answers, stop(GOOD), counts=counts)
    assert [rung for rung, _ in counts] == rungs


def test_once_an_answer_was_cut_all_later_ones_may_be_longer():
    assert [ask.max_tokens for ask in asks_of(CUT, SENSELESS, SENSELESS, stop(GOOD))] == [1000, 2000, 2000, 2000]


def test_a_larger_limit_that_is_refused_is_given_up():
    assert [ask.max_tokens for ask in asks_of(CUT, REFUSAL, stop(GOOD))] == [1000, 2000, 1000]


@pytest.mark.parametrize(("max_tokens", "asked"), [(5000, [5000, 8192]), (8192, [8192, 8192]), (10_000, [10_000, 10_000])])
def test_the_limit_grows_no_further_than_a_context(max_tokens, asked):
    recipe = RECIPE.model_copy(update={"sampling": SamplingParams(max_tokens=max_tokens)})
    assert [ask.max_tokens for ask in asks_of(CUT, stop(GOOD), recipe=recipe)] == asked


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD[:-1], "json_invalid"),
        (GOOD + "{}", "json_invalid"),
        (f"```json\n{GOOD}\n```", "json_invalid"),
        (GOOD.replace("{", '{"description": "first", ', 1), "description: more than once"),
        (changed(mood="calm"), "mood: extra_forbidden"),
        (changed(description=5), "description: string_type"),
        (changed(objects="a lamp"), "objects: tuple_type"),
        (changed(objects=["a lamp", 5]), "objects: string_type"),
        (changed(summary="x" * 401), "summary: string_too_long"),
        (changed(environment=None, actions=["x"] * 6), "actions: too_long, environment: string_type"),
        (json.dumps({"logos": []}), "description: missing"),
        (f"[{GOOD}]", "answer: model_type"),
        ("", "json_invalid"),
        (GOOD.replace("Frame", "\\ud800"), "json_invalid"),
        (GOOD.replace("Frame", "\ud800"), "unicode"),
        (GOOD.replace("Frame", "\t"), "json_invalid"),
        ("[" * 100_000, "json_invalid"),
    ],
    ids=range(17),
)
def test_an_answer_that_only_nearly_fits_is_not_bent_until_it_does(text, says):
    error = fall(stop(text), SENSELESS, SENSELESS)
    assert says in str(error)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"The fields {{description, objects}} are:\n{GOOD}",
        f"{GOOD}\nand {{that}} is all",
        f"I see {changed(summary='a sign saying } and {')}",
    ],
)
def test_an_object_is_found_in_prose(text):
    assert climb(SENSELESS, SENSELESS, stop(text)).annotation.description == ANNOTATION.description


@pytest.mark.parametrize("text", ["", "{", "{" * 100_000, '{"":' * 100_000, f"[1] {{}} {GOOD}", GOOD[:-2], f"{{ {GOOD[1:-1]}, }}"])
def test_prose_without_a_whole_first_object_is_unfit(text):
    assert fall(SENSELESS, SENSELESS, stop(text)).reason is Reason.INVALID_ANSWER


@pytest.mark.parametrize(
    ("answers", "reason", "stage"),
    [
        ((SENSELESS, SENSELESS, SENSELESS), Reason.INVALID_ANSWER, Stage.VALIDATE),
        ((CUT, CUT, CUT), Reason.ANSWER_TOO_LONG, Stage.VALIDATE),
        ((SENSELESS, CUT, CUT), Reason.ANSWER_TOO_LONG, Stage.VALIDATE),
        ((CUT, CUT, SENSELESS), Reason.INVALID_ANSWER, Stage.VALIDATE),
        ((CUT, REFUSAL, REFUSAL), Reason.ANSWER_TOO_LONG, Stage.VALIDATE),
        ((ABORTED, ABORTED, ABORTED), Reason.ENGINE_FAILED, Stage.CAPTION),
    ],
)
def test_the_last_flaw_gives_the_reason(answers, reason, stage):
    error = fall(*answers)
    assert (error.reason, error.stage) == (reason, stage)


def test_the_verdict_tells_every_rung_and_shows_the_last_answer_cut():
    error = fall(TOO_MANY, SENSELESS, stop("\ud800" + "x" * 5000))
    assert str(error) == "constrained: objects: too_long; reseeded: answer: json_invalid; free: no JSON object in it"
    assert len(error.raw_answer) == 2000
    assert error.raw_answer.encode().startswith(b"?xxx")


def test_rungs_are_counted_by_cause_from_a_closed_list():
    counts = Counter()
    climb(TOO_MANY, stop(changed(mood="calm")), stop(GOOD), counts=counts)
    climb(CUT, SENSELESS, stop(f"[{GOOD}]"), stop(GOOD), counts=counts)
    climb(ABORTED, stop(GOOD), counts=counts)
    assert counts == {
        ("constrained", "objects"): 1,
        ("reseeded", "other_key"): 1,
        ("free", "accepted"): 2,
        ("constrained", "cut"): 1,
        ("longer", "json"): 1,
        ("reseeded", "shape"): 1,
        ("constrained", "broken"): 1,
        ("reseeded", "accepted"): 1,
    }


def test_tokens_of_all_rungs_are_added_up():
    usage = climb(stop("no", 966, 256, 10), stop("no"), stop(GOOD, 966, None, 200)).usage
    assert (usage.prompt_tokens, usage.image_tokens, usage.output_tokens) == (1932, 256, 210)


def test_an_engine_that_does_not_count_leaves_no_tokens():
    usage = climb(stop(GOOD)).usage
    assert (usage.prompt_tokens, usage.image_tokens, usage.output_tokens) == (None, None, None)


@pytest.mark.parametrize(
    "error",
    [REFUSAL, PermanentError(Reason.ENGINE_FAILED, Stage.CAPTION, "500"), TransientError("busy"), FatalError("gone")],
)
def test_what_the_engine_raises_at_first_ends_the_climb(error):
    with pytest.raises(type(error)) as caught:
        climb(error)
    assert caught.value is error


@pytest.mark.parametrize("error", [PermanentError(Reason.ENGINE_FAILED, Stage.CAPTION, "500"), TransientError("busy"), FatalError("gone")])
def test_what_is_no_refusal_ends_the_climb_on_any_rung(error):
    with pytest.raises(type(error)) as caught:
        climb(SENSELESS, error)
    assert caught.value is error


def over_http(*replies):
    """Climb on the openai engine; returns the caption and the questions asked."""

    async def go(server):
        engine = OpenAiEngine(base_url=server.url, first_delay_seconds=0.01)
        try:
            return await annotate(engine, PICTURE, RECIPE, counts=Counter())
        finally:
            await engine.close()

    with ChatServer(lambda request: replies[request.number - 1]) as server:
        return asyncio.run(go(server)), server.questions


def test_over_http_every_rung_is_climbed_and_paid_for():
    cut = completion(GOOD[:40], finish_reason="length", tokens=(900, 1000))
    prose = completion(f"Sure! {GOOD}", tokens=(900, 200))
    caption, asked = over_http(cut, failure(500), completion("{}", tokens=(900, 2)), prose, prose)
    assert (caption.usage.rung, caption.usage.prompt_tokens, caption.usage.output_tokens) == ("free", 3600, 1402)
    assert caption.annotation == ANNOTATION
    assert [question["max_tokens"] for question in asked] == [1000, 2000, 2000, 2000, 2000]
    assert [question["seed"] for question in asked] == [7, 7, 7, 8, 9]
    assert ["response_format" in question for question in asked] == [True, True, True, True, False]


def test_over_http_an_invalid_answer_is_mended_by_another_seed():
    caption, asked = over_http(completion(changed(logos="none")), completion(GOOD))
    assert caption.usage.rung == "reseeded"
    assert [question["seed"] for question in asked] == [7, 8]
