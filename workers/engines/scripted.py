"""An engine for tests and benchmarks: it looks at no picture, but takes it as a JPEG as HTTP engines do, and says the same of the same."""

import asyncio
import json
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from schemas.recipe import Recipe
from workers.engines import Answer, Ask
from workers.engines.instances import instance_of
from workers.keyframe import Form, Picture

THINGS = ("a lamp", "a bicycle", "a red door", "two cups", "a river", "a tree", "a clock", "a map")
PLACES = ("a kitchen", "a quiet street", "a workshop", "a field under clouds", "a station hall", "a stage")
DOINGS = ("a person walks by", "water moves", "a hand turns a page", "a car stops", "leaves fall")


@dataclass(frozen=True, slots=True)
class Load:
    """How busy an engine was between its first question and the last moment it worked; times are `time.monotonic()`."""

    busy_seconds: float = 0.0
    """Integral over time of the questions in flight, divided by the concurrency: equals the wall time if every slot was always taken."""
    started_at: float = 0.0
    last_at: float = 0.0
    answered: int = 0
    in_flight: int = 0

    @property
    def busy_share(self) -> float:
        """Share of its slots that were taken, from 0 to 1."""
        wall_seconds = self.last_at - self.started_at
        return self.busy_seconds / wall_seconds if wall_seconds > 0 else 0.0


class ScriptedEngine:
    """Answers after `latency_seconds`, at most `concurrency` questions at once, and measures how busy it was.

    For tests and benchmarks only: its annotations are valid, and made up from a checksum of the JPEG. Of a recipe's own schema it
    says what `workers.engines.instances` can.
    """

    def __init__(self, *, latency_seconds: float = 0.0, concurrency: int = 8) -> None:
        self.concurrency = concurrency
        self.takes = Form.JPEG
        self.versions = {"engine": "scripted"}
        self._latency_seconds = latency_seconds
        self._slots = asyncio.Semaphore(concurrency)
        self._load: Load | None = None

    async def answer(self, picture: Picture, ask: Ask) -> Answer:
        """Say what the JPEG's checksum says, in the recipe's order of keys.

        Raises:
            UnsuitableError: the recipe's own schema asks for what it cannot make up.
        """
        async with self._slots:
            with self._counted():
                ready_at = time.monotonic() + self._latency_seconds
                text = _answer_to(picture, ask.recipe)
                await asyncio.sleep(max(0.0, ready_at - time.monotonic()))
        return Answer(text=text, finish_reason="stop")

    async def probe(self) -> None:
        """Return: it is always ready."""

    def waiting(self) -> int | None:
        """Say nothing: it has no queue but ours."""
        return None

    async def close(self) -> None:
        """Do nothing: it holds nothing."""

    def load(self) -> Load:
        """Say how busy it was so far; may be called from any thread."""
        load = self._load or Load()
        return self._until_now(load) if load.in_flight else load

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._step(in_flight=+1)
        answered = 0
        try:
            yield
            answered = 1
        finally:
            self._step(in_flight=-1, answered=answered)

    def _step(self, *, in_flight: int, answered: int = 0) -> None:
        self._load = self._until_now(self._load, in_flight=in_flight, answered=answered)

    def _until_now(self, load: Load | None, *, in_flight: int = 0, answered: int = 0) -> Load:
        now = time.monotonic()
        if load is None:
            return Load(started_at=now, last_at=now, in_flight=in_flight)
        busy_seconds = load.busy_seconds + load.in_flight * (now - load.last_at) / self.concurrency
        return Load(busy_seconds, load.started_at, now, load.answered + answered, load.in_flight + in_flight)


def _answer_to(picture: Picture, recipe: Recipe) -> str:
    if recipe.answer is None:
        return scripted_answer(picture, recipe.key_order)
    return json.dumps(instance_of(recipe.answer_schema, seed=zlib.crc32(picture.jpeg)))


def scripted_answer(picture: Picture, key_order: Sequence[str]) -> str:
    """The answer for these pixels: valid JSON with its keys in the order given."""
    checksum = zlib.crc32(picture.jpeg)
    thing, place, doing = (choices[checksum % len(choices)] for choices in (THINGS, PLACES, DOINGS))
    fields = {
        "description": f"Frame {checksum:08x} shows {thing} in {place}; {doing}.",
        "objects": [thing],
        "actions": [doing],
        "environment": place,
        "content_type": "scripted",
        "specific_style": "made up",
        "production_quality": "none",
        "summary": f"{thing.capitalize()} in {place}.",
        "logos": [],
    }
    return json.dumps({key: fields[key] for key in key_order})
