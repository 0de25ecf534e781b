"""What the openai engine knows and must not tell."""

import logging
import traceback

import pytest
from asking import ASK, RED, answer, only_grey, using
from chat_server import Reply, failure, in_turn
from pydantic import SecretStr

from schemas.errors import FatalError, PermanentError
from workers.engines.openai import OpenAiEngine

KEY = "sk-secret-0123456789"
ODD_KEY = "sk-sécret\nX: y"


def test_the_key_is_sent_and_never_told(server, caplog):
    caplog.set_level(logging.DEBUG)
    for script in (
        in_turn(failure(401, f"wrong key {KEY}")),
        only_grey(failure(500, KEY)),
        only_grey(failure(400, KEY)),
        in_turn(Reply(hang_up=True)),
    ):
        server.script = script
        with pytest.raises((FatalError, PermanentError)) as caught:
            answer(server, api_key=SecretStr(f" {KEY}\n"))
        assert KEY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert {request.headers["Authorization"] for request in server.requests} == {f"Bearer {KEY}"}
    assert caplog.text
    assert KEY not in caplog.text


def test_the_key_is_not_in_the_engine_itself(server):
    async def shown(engine: OpenAiEngine) -> str:
        return repr(engine) + repr(vars(engine)) + repr(engine.versions)

    assert KEY not in using(server, shown, api_key=SecretStr(KEY))


def test_a_key_that_no_header_can_carry_is_refused_without_being_told():
    with pytest.raises(FatalError, match="FRAMEFLEET_OPENAI_API_KEY") as caught:
        OpenAiEngine(base_url="http://localhost/v1", api_key=SecretStr(ODD_KEY))
    assert ODD_KEY[3:8] not in "".join(traceback.format_exception(caught.value))


def test_credentials_in_the_address_are_used_and_never_told(server, caplog):
    caplog.set_level(logging.DEBUG)

    async def told(engine: OpenAiEngine) -> dict[str, str]:
        await engine.answer(RED, ASK)
        return engine.versions

    versions = using(server, told, base_url=server.url.replace("//", "//me:s3cr3t@"))
    assert versions == {"engine": "openai", "endpoint": server.url.removeprefix("http://").removesuffix("/v1")}
    assert server.requests[0].headers["Authorization"].startswith("Basic ")
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize("address", ["", "localhost:8000", "ftp://host/v1", "http://host/v1?key=1", "http://host:port/v1"])
def test_an_address_that_cannot_be_one_is_refused(address):
    with pytest.raises(FatalError, match="FRAMEFLEET_OPENAI_BASE_URL"):
        OpenAiEngine(base_url=address)
