import asyncio
import json
import time
from collections import Counter
from pathlib import Path

import jsonschema
import pytest
from hosted import RECIPE, SCHEMA, Hosted, asked, hosted, like, picture

from schemas.errors import PermanentError, UnsuitableError
from schemas.reasons import Reason
from workers.engines import Ask
from workers.engines.vllm import _arguments
from workers.ladder import annotate


def test_every_answer_fits_the_schema_whatever_the_weights_would_say(engine: Hosted):
    answers = asked(engine, *(picture(seed) for seed in range(16)), temperature=1.0)
    assert Counter(answer.finish_reason for answer in answers) == {"stop": 16}
    for answer in answers:
        jsonschema.validate(json.loads(answer.text), SCHEMA)


def test_different_pictures_get_different_answers_and_the_same_one_the_same(engine: Hosted):
    first, second, again = (asked(engine, picture(seed))[0].text for seed in (1, 2, 1))
    assert first == again
    assert first != second


def test_keys_come_in_the_schemas_order(engine: Hosted):
    [answer] = asked(engine, picture(1))
    assert list(json.loads(answer.text)) == list(SCHEMA["properties"])


def test_tokens_are_counted_and_the_shared_prompt_is_cached(engine: Hosted):
    recipe = like(prompt={"short_text": "", "long_text": "Say what is in the picture. " * 40})
    asked(engine, picture(1), recipe=recipe)
    [answer] = asked(engine, picture(2), recipe=recipe)
    assert answer.image_tokens == 4
    assert answer.cached_tokens > answer.prompt_tokens / 2
    assert 0 < answer.output_tokens <= RECIPE.sampling.max_tokens


def test_an_answer_cut_at_its_tokens_says_so(engine: Hosted):
    [answer] = asked(engine, picture(1), max_tokens=5)
    assert (answer.finish_reason, answer.output_tokens) == ("length", 5)


def test_an_answer_of_exact_length_has_that_length(engine: Hosted):
    [answer] = asked(engine, picture(1), max_tokens=77, exact_tokens=True, constrained=False)
    assert (answer.finish_reason, answer.output_tokens) == ("length", 77)


def test_a_white_space_loop_is_ended_early(engine: Hosted, newline: str):
    looping = like(sampling={"temperature": 0.0, "extra": {"logit_bias": {newline: 100.0}}})
    [answer] = asked(engine, picture(1), recipe=looping, constrained=False, max_tokens=1000)
    assert answer.finish_reason == "repetition"
    assert answer.output_tokens < 100
    assert answer.text.isspace()


def test_another_seed_is_another_answer(engine: Hosted):
    texts = {asked(engine, picture(1), temperature=1.0, seed=seed)[0].text for seed in (1, 2, 3)}
    assert len(texts) > 1


def test_a_question_that_is_no_longer_waited_for_is_aborted_in_the_engine(engine: Hosted):
    async def go() -> str:
        ask = Ask(recipe=RECIPE, max_tokens=4000, temperature=0.0, seed=0, exact_tokens=True, constrained=False)
        asking = asyncio.create_task(engine.answer(picture(1), ask))
        while not ask.said:  # noqa: ASYNC110 - what is awaited happens in another thread
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        return "".join(ask.said)

    assert asyncio.run(go())
    assert emptied(engine)


def test_a_frame_past_its_deadline_is_aborted_and_leaves_what_was_said(engine: Hosted):
    text = {"type": "object", "properties": {"text": {"type": "string", "minLength": 100_000}}, "required": ["text"]}
    endless = like(answer=text, sampling={"temperature": 1.0, "max_tokens": 8000})
    with pytest.raises(PermanentError) as raised:
        asyncio.run(annotate(engine, picture(1), endless, counts=Counter(), deadline_seconds=1.5))
    assert raised.value.reason is Reason.ENGINE_TIMEOUT
    assert raised.value.raw_answer
    assert emptied(engine)


def test_a_prompt_that_is_too_long_for_any_picture_is_the_recipes_fault_and_no_frames(engine: Hosted):
    recipe = like(prompt={"short_text": "", "long_text": "word " * 20_000})
    with pytest.raises(UnsuitableError, match="Mend the recipe"):
        asked(engine, picture(1), recipe=recipe, constrained=False)


def test_another_models_recipe_is_not_answered(engine: Hosted):
    other = like(model={"name": "another", "revision": "2"})
    with pytest.raises(UnsuitableError, match=r"hosts tiny-gemma3@1, and the job wants another@2"):
        asked(engine, picture(1), recipe=other)


def test_a_grammar_that_does_not_compile_is_told_at_once(engine: Hosted):
    unheard = {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=x)y"}}, "required": ["a"]}
    with pytest.raises(UnsuitableError, match="tiny"):
        asked(engine, picture(1), recipe=like(answer=unheard))


def test_eight_bit_weights_answer_as_validly(gemma3_fp8: Path):
    with hosted(gemma3_fp8) as engine:
        answers = asked(engine, *(picture(seed) for seed in range(8)))
        assert engine.versions["quantization"] == "compressed-tensors"
    for answer in answers:
        jsonschema.validate(json.loads(answer.text), SCHEMA)
    assert len({answer.text for answer in answers}) > 1


def emptied(engine: Hosted) -> bool:
    """Whether the engine gets rid of all requests soon."""
    end = time.monotonic() + 5
    while engine.unfinished() and time.monotonic() < end:
        time.sleep(0.02)
    return engine.unfinished() == 0


@pytest.mark.parametrize(("place", "revision"), [(None, "1"), ("somewhere/else", "1"), ("s3://models/tiny", None), ("a folder", None)])
def test_only_a_hub_is_asked_for_a_revision(place: str | None, revision: str | None, tmp_path: Path) -> None:
    assert _arguments(RECIPE, str(tmp_path) if place == "a folder" else place)["revision"] == revision
