"""Counts what an engine is asked and what it spends, whoever asks and whatever becomes of the answer."""

from collections import Counter
from dataclasses import dataclass, field

from workers.engines import Answer, Ask, Engine
from workers.keyframe import Picture


@dataclass(slots=True)
class Meter:
    """Counts since the start; written on the engine's event loop only, and read from anywhere."""

    questions: int = 0
    tokens: Counter[str] = field(default_factory=Counter)
    """By kind: prompt, image, cached, output. A kind that the engine does not count is not there."""

    def count(self, answer: Answer) -> None:
        """Count an answer."""
        self.questions += 1
        spent = {
            "prompt": answer.prompt_tokens,
            "image": answer.image_tokens,
            "cached": answer.cached_tokens,
            "output": answer.output_tokens,
        }
        self.tokens.update({kind: count for kind, count in spent.items() if count is not None})


class Metered:
    """An engine as it is, with a meter."""

    def __init__(self, engine: Engine, meter: Meter) -> None:
        self.concurrency = engine.concurrency
        self.takes = engine.takes
        self.versions = engine.versions
        self._engine = engine
        self._meter = meter

    async def answer(self, picture: Picture, ask: Ask) -> Answer:
        """Answer one question about one picture, and count it."""
        answer = await self._engine.answer(picture, ask)
        self._meter.count(answer)
        return answer

    async def probe(self) -> None:
        """Return if the engine is ready to answer."""
        await self._engine.probe()

    def waiting(self) -> int | None:
        """How many questions lie in the engine's own queue; None where it cannot say."""
        return self._engine.waiting()

    async def close(self) -> None:
        """Let go of what the engine holds."""
        await self._engine.close()
