"""What the tests of the openai engine share: a picture, a question, and an engine that asks it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import numpy as np
import simplejpeg
from chat_server import MODEL, ChatServer, Reply, Request, completion

from schemas.recipe import ModelRef, Prompt, Recipe
from workers.engines import Answer, Ask
from workers.engines.openai import OpenAiEngine
from workers.keyframe import Form, Picture

T = TypeVar("T")
RED_PIXELS = np.full((48, 64, 3), (200, 30, 30), np.uint8)
RED = Picture.of(RED_PIXELS, form=Form.JPEG, jpeg_quality=90)
RECIPE = Recipe(
    name="test",
    model=ModelRef(name=MODEL, revision="1"),
    prompt=Prompt(short_text="Be brief.", long_text="Describe."),
    key_order=tuple(sorted(Recipe.model_fields["key_order"].default)),
)
ASK = Ask(recipe=RECIPE, max_tokens=500, temperature=0.1, seed=7)


def using(server: ChatServer, work: Callable[[OpenAiEngine], Awaitable[T]], **settings: Any) -> T:
    async def go() -> T:
        engine = OpenAiEngine(**{"base_url": server.url, "retries": 2, "first_delay_seconds": 0.01} | settings)
        try:
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(go())


def answer(server: ChatServer, ask: Ask = ASK, **settings: Any) -> Answer:
    return using(server, lambda engine: engine.answer(RED, ask), **settings)


def probe(server: ChatServer, **settings: Any) -> None:
    using(server, lambda engine: engine.probe(), **settings)


def is_grey(request: Request) -> bool:
    height, width, *_ = simplejpeg.decode_jpeg_header(request.jpeg)
    return (width, height) == (32, 32)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is awaited happens in another thread
        await asyncio.sleep(0.001)


def only_grey(otherwise: Reply) -> Callable[[Request], Reply]:
    return lambda request: completion("{}") if is_grey(request) else otherwise
