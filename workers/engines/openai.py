"""Asks any OpenAI-compatible chat endpoint (a vLLM server, a hosted API) over HTTP.

What a setback means:

    429, 503                      busy: ask again until patience is spent     TransientError
    no connection                 the endpoint is away; no frame is to blame  TransientError, or FatalError if it stays away
    408, 409, 425, other 5xx,     a fault: ask again `retries` times, then    PermanentError, or FatalError if that fails too
    late, cut or senseless        the same about a grey picture
    400, 413, 422                 refused: the same about a grey picture      PermanentError, or FatalError if that is refused too
    any other status              this worker is set up wrongly               FatalError

The grey picture tells a guilty frame from a sick endpoint. `GET /models` could not: a server whose model hangs, or that
does not know our `response_format`, still lists its models.
"""

import asyncio
import dataclasses
import logging
import random
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, SecretStr, ValidationError

from schemas.errors import FatalError, PermanentError, TransientError
from schemas.reasons import Reason, Stage
from schemas.recipe import ModelRef, Prompt, Recipe
from workers.backoff import delay_seconds
from workers.chat import Completion, Listing, PromptDetails, ResponseFormat, TokenUsage, request_body, server_message
from workers.endpoint import Blame, Endpoint, Reply, Setback
from workers.engines import Answer, Ask
from workers.keyframe import Form, Picture

BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
FAULTS = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY})
REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})
GREY = Picture.of(np.full((32, 32, 3), 128, np.uint8), form=Form.JPEG, jpeg_quality=90)

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
log = logging.getLogger(__name__)


class _GaveUp(Exception):  # noqa: N818 - what it means is decided where it is caught
    """More faults than we retry."""

    def __init__(self, faults: list[Setback]) -> None:
        super().__init__(f"{len(faults)} tries failed, at last: {faults[-1]}")
        self.frame_may_be_guilty = all(fault.blame is Blame.FAULT for fault in faults)


class _Refused(Exception):  # noqa: N818
    """The endpoint will not answer this question."""


class OpenAiEngine:
    """A model behind `base_url` (which ends in `/v1`); `model` is the endpoint's name for it, and None takes the recipe's.

    `retries` counts further tries after a first that failed; a busy endpoint is asked again until `patience_seconds` are spent.

    Raises:
        FatalError: base_url or api_key cannot be used.
    """

    def __init__(  # noqa: PLR0913 - an argument for each setting
        self,
        *,
        base_url: str,
        api_key: SecretStr | None = None,
        model: str | None = None,
        response_format: ResponseFormat = "json_schema",
        concurrency: int = 16,
        connect_timeout_seconds: float = 10.0,
        answer_timeout_seconds: float = 120.0,
        patience_seconds: float = 600.0,
        retries: int = 4,
        first_delay_seconds: float = 0.5,
    ) -> None:
        self._endpoint = Endpoint(
            base_url=base_url,
            api_key=api_key,
            concurrency=concurrency,
            connect_timeout_seconds=connect_timeout_seconds,
            answer_timeout_seconds=answer_timeout_seconds,
        )
        self._model = model
        self._response_format = response_format
        self._patience_seconds = patience_seconds
        self._retries = retries
        self._first_delay_seconds = first_delay_seconds
        self.concurrency = concurrency
        self.takes = Form.JPEG
        self.versions = {"engine": "openai", "endpoint": self._endpoint.host}

    async def answer(self, picture: Picture, ask: Ask) -> Answer:
        """Answer one question about one picture; see the protocol."""
        try:
            return self._answer_of(await self._complete(picture, ask))
        except _GaveUp as gave_up:
            await self._expect_answer_about_grey(ask)
            if not gave_up.frame_may_be_guilty:
                raise TransientError(f"The engine at {self._endpoint.url} was away and is back: {gave_up}") from gave_up
            raise PermanentError(Reason.ENGINE_FAILED, Stage.CAPTION, str(gave_up)) from gave_up
        except _Refused as refused:
            await self._expect_answer_about_grey(ask)
            raise PermanentError(Reason.ENGINE_REFUSED, Stage.CAPTION, str(refused)) from refused

    async def probe(self) -> None:
        """Ask for a tiny answer about a grey picture, in the configured response format.

        Without a configured model the one that the endpoint lists is asked; if it lists several, its list has to do.
        """
        try:
            model = self._model or await self._insist(self._only_model)
            if model is not None:
                await self._complete(GREY, _tiny_ask(model))
        except _GaveUp as gave_up:
            raise self._away(gave_up) from gave_up
        except _Refused as refused:
            raise self._set_up_wrongly(refused) from refused

    def waiting(self) -> int | None:
        """Say nothing: an endpoint does not tell."""
        return None

    async def close(self) -> None:
        """Close all connections."""
        await self._endpoint.close()

    async def _expect_answer_about_grey(self, ask: Ask) -> None:
        """Raise if the endpoint cannot answer this question whatever the picture; a longer rung's own limit is not held against it."""
        max_tokens = min(ask.max_tokens, ask.recipe.sampling.max_tokens)
        body = await self._body(GREY, dataclasses.replace(ask, max_tokens=max_tokens))
        try:
            await self._completion(body)
        except Setback as setback:
            if setback.blame is Blame.BUSY:
                raise TransientError(f"The engine at {self._endpoint.url} failed and is busy now: {setback}") from setback
            raise self._away(setback) from setback
        except _Refused as refused:
            raise self._set_up_wrongly(refused) from refused

    async def _complete(self, picture: Picture, ask: Ask) -> Completion:
        body = await self._body(picture, ask)
        return await self._insist(lambda: self._completion(body))

    async def _insist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it works, patience is spent (TransientError) or there were too many faults (_GaveUp)."""
        deadline = time.monotonic() + self._patience_seconds
        faults: list[Setback] = []
        tries = 0
        while True:
            tries += 1
            try:
                return await attempt()
            except Setback as setback:
                delay = self._delay(setback, tries)
                self._judge(setback, faults, over=time.monotonic() + delay > deadline)
                log.info("engine at %s: %s; asking again in %.1f s", self._endpoint.url, setback, delay)
            await asyncio.sleep(delay)

    def _delay(self, setback: Setback, tries: int) -> float:
        jitter = random.random()  # noqa: S311 - spreads load, guards nothing
        return delay_seconds(attempt=tries, retry_after=setback.retry_after, jitter=jitter, first_seconds=self._first_delay_seconds)

    def _judge(self, setback: Setback, faults: list[Setback], *, over: bool) -> None:
        """Return if one more try is due. Being busy is counted in time, anything else in tries."""
        if setback.blame is not Blame.BUSY:
            faults.append(setback)
            if len(faults) > self._retries:
                raise _GaveUp(faults) from setback
        elif over:
            message = f"The engine at {self._endpoint.url} stayed busy beyond {self._patience_seconds:g} s: {setback}"
            raise TransientError(message) from setback

    async def _body(self, picture: Picture, ask: Ask) -> bytes:
        """Encode off the event loop: a JPEG takes milliseconds."""
        model = self._model or ask.recipe.model.name
        response_format = self._response_format if ask.constrained else "none"
        return await asyncio.to_thread(request_body, picture, ask, model=model, response_format=response_format)

    async def _completion(self, body: bytes) -> Completion:
        return self._parsed(Completion, await self._endpoint.exchange("POST", "/chat/completions", body))

    async def _only_model(self) -> str | None:
        reply = await self._endpoint.exchange("GET", "/models")
        if reply.status == HTTPStatus.NOT_FOUND:
            return None
        listing = self._parsed(Listing, reply)
        return listing.data[0].id if len(listing.data) == 1 else None

    def _parsed(self, kind: type[M], reply: Reply) -> M:
        """Read a good reply, or raise what another one means."""
        if reply.status != HTTPStatus.OK:
            raise self._meaning_of(reply)
        try:
            return kind.model_validate_json(reply.body)
        except ValidationError as error:
            raise Setback(Blame.FAULT, f"a senseless answer with {self._saying_of(reply)}") from error

    def _meaning_of(self, reply: Reply) -> Exception:
        says = self._saying_of(reply)
        if reply.status in BUSY:
            return Setback(Blame.BUSY, says, retry_after=reply.retry_after)
        if reply.status in FAULTS or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Setback(Blame.FAULT, says, retry_after=reply.retry_after)
        if reply.status in REFUSED:
            return _Refused(says)
        return FatalError(f"The engine at {self._endpoint.url} turned us away ({says}); {_remedy(reply.status)}.")

    def _saying_of(self, reply: Reply) -> str:
        return self._endpoint.clean(f"status {reply.status}: {server_message(reply.body)}")

    def _answer_of(self, completion: Completion) -> Answer:
        choice, usage = completion.choices[0], completion.usage or TokenUsage()
        details = usage.prompt_tokens_details or PromptDetails()
        if choice.message.refusal or choice.finish_reason == "content_filter":
            says = self._endpoint.clean(choice.message.refusal or "the endpoint's content filter stopped the answer")
            raise PermanentError(Reason.ENGINE_REFUSED, Stage.CAPTION, says)
        return Answer(
            text=choice.message.content or "",
            finish_reason=choice.finish_reason or "none",
            prompt_tokens=usage.prompt_tokens,
            image_tokens=details.image_tokens,
            cached_tokens=details.cached_tokens,
            output_tokens=usage.completion_tokens,
        )

    def _away(self, cause: Exception) -> FatalError:
        advice = "check FRAMEFLEET_OPENAI_BASE_URL and that the server is up"
        return FatalError(f"The engine at {self._endpoint.url} does not answer: {cause}; {advice}.")

    def _set_up_wrongly(self, refused: _Refused) -> FatalError:
        asked = f"refuses even a grey picture in response format {self._response_format!r}: {refused}"
        advice = "check FRAMEFLEET_OPENAI_RESPONSE_FORMAT, FRAMEFLEET_OPENAI_MODEL and the recipe's sampling"
        return FatalError(f"The engine at {self._endpoint.url} {asked}; {advice}.")


def _tiny_ask(model: str) -> Ask:
    prompt = Prompt(short_text="", long_text="Describe this picture in JSON.")
    return Ask(Recipe(name="probe", model=ModelRef(name=model, revision=""), prompt=prompt), max_tokens=16, temperature=0.0, seed=0)


def _remedy(status: int) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return "check the key in FRAMEFLEET_OPENAI_API_KEY"
        case HTTPStatus.NOT_FOUND:
            return "check FRAMEFLEET_OPENAI_MODEL and that FRAMEFLEET_OPENAI_BASE_URL ends in /v1"
        case _:
            return "check FRAMEFLEET_OPENAI_BASE_URL and the account (redirects are not followed)"
