"""An engine that is told what to do, and pictures that can be watched."""

import asyncio
from collections.abc import Callable

from workers.engines import Answer, Ask
from workers.engines.scripted import scripted_answer
from workers.keyframe import Form, Picture


class Watched(Picture):
    """A picture of which one can see whether it is still in memory."""

    __slots__ = ("__weakref__",)


def picture(says: str = "", *, size_bytes: int = 100) -> Picture:
    return Watched(says.encode().ljust(size_bytes), 4, 4, Form.JPEG)


class Puppet:
    """An engine that answers when it is told, or as a picture's text says."""

    def __init__(self, concurrency: int = 2) -> None:
        self.concurrency = concurrency
        self.takes = Form.JPEG
        self.versions: dict[str, str] = {}
        self.go = asyncio.Event()
        self.errors: dict[str, Exception] = {}
        self.asked: list[str] = []
        self.most = self.now = 0
        self.closing: Callable[[], object] = lambda: None
        self.closed = False
        self.queue: int | None = None
        self.well: Exception | None = None

    async def answer(self, picture: Picture, ask: Ask) -> Answer:
        says = picture.body.decode().strip()
        self.asked.append(says)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if says not in self.errors and says != "at once":
                await self.go.wait()
        finally:
            self.now -= 1
        if says in self.errors:
            raise self.errors[says]
        return Answer(scripted_answer(picture, ask.recipe.key_order), "stop")

    async def probe(self) -> None:
        if self.well:
            raise self.well

    def waiting(self) -> int | None:
        return self.queue

    async def close(self) -> None:
        self.closed = True
        ending = self.closing()
        if asyncio.iscoroutine(ending):
            await ending
