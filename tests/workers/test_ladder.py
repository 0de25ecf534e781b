import asyncio
from collections import Counter

import pytest
from chat_server import ChatServer, completion, failure
from climbing import (
    ABORTED,
    ANNOTATION,
    CUT,
    GOOD,
    LOOPED,
    PICTURE,
    RECIPE,
    REFUSAL,
    SENSELESS,
    TOO_MANY,
    asks_of,
    changed,
    climb,
    fall,
    stop,
)

from schemas.errors import FatalError, PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.recipe import SamplingParams
from workers.engines import Answer, Ask
from workers.engines.openai import OpenAiEngine
from workers.ladder import annotate


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


@pytest.mark.parametrize("first", [SENSELESS, TOO_MANY, ABORTED, LOOPED])
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
        ((LOOPED, LOOPED), ["constrained", "reseeded", "free"]),
        ((CUT, LOOPED, CUT), ["constrained", "longer", "reseeded", "free"]),
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
    ("answers", "reason", "stage"),
    [
        ((SENSELESS, SENSELESS, SENSELESS), Reason.INVALID_ANSWER, Stage.VALIDATE),
        ((CUT, CUT, CUT), Reason.ANSWER_TOO_LONG, Stage.VALIDATE),
        ((SENSELESS, CUT, CUT), Reason.ANSWER_TOO_LONG, Stage.VALIDATE),
        ((CUT, CUT, SENSELESS), Reason.INVALID_ANSWER, Stage.VALIDATE),
        ((CUT, REFUSAL, REFUSAL), Reason.ANSWER_TOO_LONG, Stage.VALIDATE),
        ((ABORTED, ABORTED, ABORTED), Reason.ENGINE_FAILED, Stage.CAPTION),
        ((CUT, CUT, LOOPED), Reason.INVALID_ANSWER, Stage.VALIDATE),
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
        ("constrained", "abort"): 1,
        ("reseeded", "accepted"): 1,
    }


def test_every_way_of_ending_is_a_cause_of_its_own():
    counts = Counter()
    endings = ["length", "repetition", "abort", "error", "content_filter_of_tomorrow", "stop"]
    for ending in endings:
        climb(Answer(GOOD[:50], ending), stop(GOOD), counts=counts)
    causes = {cause for rung, cause in counts if rung == "constrained"}
    assert causes == {"cut", "looped", "abort", "error", "broken", "json"}


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
            return await annotate(engine, PICTURE, RECIPE, counts=Counter(), deadline_seconds=60)
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
