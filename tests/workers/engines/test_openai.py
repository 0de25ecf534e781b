"""The openai engine against a real HTTP server."""

import asyncio
import json
import logging
import time
from dataclasses import replace

import pytest
from asking import ASK, RECIPE, RED, answer, free_port, is_grey, only_grey, probe, until, using
from chat_server import MODEL, ChatServer, Reply, completion, failure, in_turn, models

from schemas.annotation import answer_schema
from schemas.errors import FatalError, PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.recipe import Prompt
from workers.engines import Answer
from workers.engines.openai import OpenAiEngine


def test_an_answer_comes_with_its_finish_reason_and_tokens(server):
    server.script = in_turn(completion("hello", finish_reason="length", tokens=(966, 17)))
    assert answer(server) == Answer(text="hello", finish_reason="length", prompt_tokens=966, output_tokens=17)


def test_image_and_cached_tokens_are_taken_where_the_endpoint_counts_them(server):
    choice = {"message": {"content": "x"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 966, "completion_tokens": 1, "prompt_tokens_details": {"image_tokens": 256, "cached_tokens": 700}}
    server.script = in_turn(Reply(body=json.dumps({"choices": [choice], "usage": usage}).encode()))
    found = answer(server)
    assert (found.image_tokens, found.cached_tokens) == (256, 700)


def test_the_text_goes_first_and_the_image_last(server):
    answer(server)
    system, user = server.questions[0]["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert [part["type"] for part in user["content"]] == ["text", "image_url"]
    assert user["content"][0]["text"] == "Describe."
    assert server.requests[0].jpeg == RED.jpeg


def test_the_recipe_can_swap_the_roles(server):
    prompt = RECIPE.prompt.model_copy(update={"role_order": "long-is-system"})
    answer(server, replace(ASK, recipe=RECIPE.model_copy(update={"prompt": prompt})))
    system, user = server.questions[0]["messages"]
    assert (system["content"], user["content"][0]["text"]) == ("Describe.", "Be brief.")


def test_an_empty_system_text_makes_no_turn(server):
    prompt = Prompt(short_text="", long_text="Describe.")
    answer(server, replace(ASK, recipe=RECIPE.model_copy(update={"prompt": prompt})))
    assert [turn["role"] for turn in server.questions[0]["messages"]] == ["user"]


def test_sampling_comes_from_the_question(server):
    answer(server)
    asked = server.questions[0]
    assert {name: asked[name] for name in ("model", "temperature", "top_p", "seed", "max_tokens")} == {
        "model": MODEL,
        "temperature": 0.1,
        "top_p": 1.0,
        "seed": 7,
        "max_tokens": 500,
    }


def test_the_schema_keeps_the_recipes_order_of_keys(server):
    answer(server)
    form = server.questions[0]["response_format"]
    assert (form["type"], form["json_schema"]["strict"], form["json_schema"]["name"]) == ("json_schema", True, "frame_annotation")
    assert form["json_schema"]["schema"] == answer_schema(RECIPE.key_order)
    assert tuple(form["json_schema"]["schema"]["properties"]) == RECIPE.key_order


@pytest.mark.parametrize(("name", "sent"), [("json_object", {"type": "json_object"}), ("none", None)])
def test_the_response_format_can_be_weaker(server, name, sent):
    answer(server, response_format=name)
    assert server.questions[0].get("response_format") == sent


def test_a_free_question_sends_no_response_format(server):
    answer(server, replace(ASK, constrained=False))
    assert "response_format" not in server.questions[0]


def test_the_endpoint_may_know_the_model_by_another_name(server):
    answer(server, model="other")
    assert server.questions[0]["model"] == "other"


@pytest.mark.parametrize(
    "setback", [failure(500), failure(502), failure(408), Reply(hang_up=True), Reply(body=b"<html>"), Reply(body=b"{}")]
)
def test_a_fault_is_asked_again(server, setback):
    server.script = in_turn(setback, setback, completion("at last"))
    assert answer(server).text == "at last"
    assert server.questions[0] == server.questions[2]


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_endpoint_is_asked_again_more_often_than_a_faulty_one(server, status):
    server.script = in_turn(*[failure(status)] * 5, completion("at last"))
    assert answer(server).text == "at last"


def test_retry_after_is_honoured(server):
    server.script = in_turn(failure(429, Retry_After="1"), completion("at last"))
    started = time.monotonic()
    assert answer(server).text == "at last"
    assert time.monotonic() - started >= 1


def test_an_endpoint_that_stays_busy_is_a_transient_error(server):
    server.script = in_turn(failure(429, "too many"))
    with pytest.raises(TransientError, match=r"busy beyond 0\.2 s.*too many"):
        answer(server, patience_seconds=0.2)


def test_a_frame_that_fails_while_others_are_answered_is_a_permanent_error(server):
    server.script = only_grey(failure(500, "out of cheese"))
    with pytest.raises(PermanentError, match=r"3 tries failed.*out of cheese") as caught:
        answer(server)
    assert (caught.value.reason, caught.value.stage) == (Reason.ENGINE_FAILED, Stage.CAPTION)
    assert len(server.questions) == 4


def test_an_endpoint_that_fails_for_every_picture_is_a_fatal_error(server):
    server.script = in_turn(failure(500, "engine is dead"))
    with pytest.raises(FatalError, match=r"does not answer.*engine is dead.*check FRAMEFLEET_OPENAI_BASE_URL"):
        answer(server)


def test_an_endpoint_that_is_busy_after_its_faults_is_a_transient_error(server):
    server.script = lambda request: failure(503) if is_grey(request) else failure(500)
    with pytest.raises(TransientError, match="busy now"):
        answer(server)


def test_a_dead_endpoint_is_a_fatal_error(server):
    with pytest.raises(FatalError, match=r"does not answer: no connection"):
        answer(server, base_url=f"http://127.0.0.1:{free_port()}/v1")


def test_an_endpoint_that_was_away_and_is_back_blames_no_frame(server, caplog):
    caplog.set_level(logging.INFO, "workers.engines.openai")
    port = free_port()

    async def return_while_asked(engine: OpenAiEngine) -> None:
        asking = asyncio.create_task(engine.answer(RED, ASK))
        await until(lambda: caplog.records)
        with ChatServer(only_grey(failure(500)), port=port):
            await asking

    with pytest.raises(TransientError, match="was away and is back"):
        using(server, return_while_asked, base_url=f"http://127.0.0.1:{port}/v1", retries=3, first_delay_seconds=0.1)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_frame_is_a_permanent_error_with_the_servers_words(server, status):
    server.script = only_grey(failure(status, "image is\n\ttoo strange " + "x" * 5000))
    with pytest.raises(PermanentError, match=f"status {status}: image is too strange xxx") as caught:
        answer(server)
    assert (caught.value.reason, caught.value.stage) == (Reason.ENGINE_REFUSED, Stage.CAPTION)
    assert len(str(caught.value)) <= 500


def test_a_question_that_is_refused_for_every_picture_is_a_fatal_error(server):
    server.script = in_turn(failure(400, "unknown response_format"))
    with pytest.raises(FatalError, match=r"unknown response_format; check FRAMEFLEET_OPENAI_RESPONSE_FORMAT"):
        answer(server)


def test_a_limit_beyond_the_recipes_is_refused_for_the_frame_alone(server):
    server.script = lambda request: failure(400, "too many tokens") if request.question["max_tokens"] > 2000 else completion("{}")
    with pytest.raises(PermanentError, match="too many tokens"):
        answer(server, replace(ASK, max_tokens=4000))


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "FRAMEFLEET_OPENAI_API_KEY"), (403, "FRAMEFLEET_OPENAI_API_KEY"), (404, "FRAMEFLEET_OPENAI_MODEL"), (402, "account")],
)
def test_an_endpoint_that_turns_us_away_is_a_fatal_error_that_says_what_to_check(server, status, advice):
    server.script = in_turn(failure(status, "go away"))
    with pytest.raises(FatalError, match=f"go away.*{advice}"):
        answer(server)
    assert len(server.questions) == 1


def test_redirects_are_not_followed(server):
    server.script = in_turn(failure(307, Location=server.url + "/elsewhere"))
    with pytest.raises(FatalError, match="redirects are not followed"):
        answer(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("refusal", [completion("{", finish_reason="content_filter"), completion(None, refusal="I would rather not")])
def test_a_model_that_will_not_look_is_a_permanent_error(server, refusal):
    server.script = in_turn(refusal)
    with pytest.raises(PermanentError, match=r"content filter|rather not") as caught:
        answer(server)
    assert caught.value.reason is Reason.ENGINE_REFUSED


def test_a_late_answer_within_the_deadline_counts(server):
    server.script = in_turn(Reply(**vars(completion("late")) | {"after_seconds": 0.3}))
    assert answer(server, answer_timeout_seconds=5).text == "late"


@pytest.mark.parametrize("slow", [{"after_seconds": 3600.0}, {"trickle_seconds": 0.05}], ids=["never", "trickling"])
def test_the_deadline_is_over_the_whole_answer(server, slow):
    server.script = only_grey(Reply(**vars(completion("late")) | slow))
    started = time.monotonic()
    with pytest.raises(PermanentError, match=r"no whole answer within 0\.2 s"):
        answer(server, answer_timeout_seconds=0.2)
    assert time.monotonic() - started < 30


def test_a_huge_body_is_not_read_to_its_end(server):
    server.script = only_grey(completion("x" * (5 << 20)))
    with pytest.raises(PermanentError, match="more than 4194304 bytes"):
        answer(server)


def test_a_cancelled_question_leaves_the_engine_usable(server):
    server.script = in_turn(Reply(after_seconds=3600), completion("next"))

    async def cancel_one(engine: OpenAiEngine) -> Answer:
        asking = asyncio.create_task(engine.answer(RED, ASK))
        await until(lambda: server.requests)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return await engine.answer(RED, ASK)

    assert using(server, cancel_one).text == "next"


def test_the_probe_asks_for_a_tiny_answer_in_the_configured_format(server):
    probe(server, model="other")
    (asked,) = server.requests
    assert is_grey(asked)
    assert (asked.question["model"], asked.question["max_tokens"], asked.question["response_format"]["type"]) == (
        "other",
        16,
        "json_schema",
    )


def test_the_probe_asks_the_only_model_there_is(server):
    probe(server)
    assert server.questions[0]["model"] == MODEL


@pytest.mark.parametrize("listing", [models("one", "two"), failure(404)])
def test_the_probe_guesses_no_model(server, listing):
    server.listing = listing
    probe(server)
    assert server.questions == []


def test_the_probe_finds_a_wrong_response_format(server):
    server.script = in_turn(failure(400, "json_schema is not supported"))
    with pytest.raises(FatalError, match=r"'json_schema'.*not supported.*FRAMEFLEET_OPENAI_RESPONSE_FORMAT"):
        probe(server)


def test_the_probe_finds_a_dead_endpoint(server):
    with pytest.raises(FatalError, match="does not answer"):
        probe(server, base_url=f"http://127.0.0.1:{free_port()}/v1")


def test_the_probe_waits_for_an_endpoint_that_is_still_loading(server):
    server.script = in_turn(failure(503), failure(503), failure(503), failure(503), completion("{"))
    probe(server)


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(server, monkeypatch):
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    answer(server)
    assert len(server.requests) == 1
