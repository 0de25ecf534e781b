"""The wire format of OpenAI-compatible chat endpoints, as far as the fleet speaks it."""

import base64
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.recipe import Recipe
from workers.engines import Ask
from workers.keyframe import Picture

ResponseFormat = Literal["json_schema", "json_object", "none"]


class Foreign(BaseModel):
    """Something a server sent; what it holds is nobody's business in our tracebacks."""

    model_config = ConfigDict(hide_input_in_errors=True)


class Message(Foreign):
    """What the model said, or why it would not."""

    content: str | None = None
    refusal: str | None = None


class Choice(Foreign):
    """One answer; we ask for one."""

    message: Message
    finish_reason: str | None = None


class PromptDetails(Foreign):
    """Which of the prompt's tokens were the picture's, or came out of the prefix cache, where the endpoint says so."""

    image_tokens: int | None = None
    cached_tokens: int | None = None


class TokenUsage(Foreign):
    """Tokens as the endpoint counts them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None


class Completion(Foreign):
    """The part of a chat completion that we read."""

    choices: Annotated[tuple[Choice, ...], Field(min_length=1)]
    usage: TokenUsage | None = None


class ListedModel(Foreign):
    """A model that the endpoint serves."""

    id: str


class Listing(Foreign):
    """The answer of `GET /models`."""

    data: tuple[ListedModel, ...]


def request_body(picture: Picture, ask: Ask, *, model: str, response_format: ResponseFormat) -> bytes:
    """One question as the endpoint wants it: text before the image, so that all frames share a prefix that can be cached."""
    prompt, sampling = ask.recipe.prompt, ask.recipe.sampling
    image = "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode()
    turn = [{"type": "text", "text": prompt.user}, {"type": "image_url", "image_url": {"url": image}}]
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    question: dict[str, Any] = {
        "model": model,
        "messages": [*system, {"role": "user", "content": turn}],
        "temperature": ask.temperature,
        "top_p": sampling.top_p,
        "seed": ask.seed,
        "max_tokens": ask.max_tokens,
    }
    return json.dumps(sampling.extra | question | _constraint(response_format, ask.recipe)).encode()


def _constraint(response_format: ResponseFormat, recipe: Recipe) -> dict[str, Any]:
    match response_format:
        case "json_schema":
            named = {"name": "frame_annotation", "strict": True, "schema": recipe.answer_schema}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case "none":
            return {}


def server_message(body: bytes) -> str:
    """What a server says about an error: the message in its JSON if it has one where such servers put it, else the text."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        parsed = None
    match parsed:
        case {"error": {"message": str(message)}} | {"error": str(message)} | {"message": str(message)} | {"detail": str(message)}:
            return message
        case _:
            return body.decode("utf-8", "replace")
