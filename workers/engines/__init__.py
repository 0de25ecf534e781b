"""Engines behind one protocol: a picture and a question in, text out.

An engine never validates and never repairs: `workers/ladder.py` does, for all of them.
"""

from dataclasses import dataclass, field
from typing import Protocol, assert_never

from schemas.errors import FatalError
from schemas.recipe import Recipe, load_recipe
from workers.keyframe import Form, Picture
from workers.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to an engine, as a rung of the repair ladder puts it."""

    recipe: Recipe
    max_tokens: int
    temperature: float
    seed: int
    constrained: bool = True
    """Whether the engine should be held to the annotation's JSON Schema."""
    exact_tokens: bool = False
    """Whether the answer shall have `max_tokens` tokens whatever the model would say, to measure with; engines that cannot, ignore it."""
    said: list[str] = field(default_factory=list, compare=False)
    """Pieces of the answer as they come, from engines that stream: what is left to read of an answer that is broken off."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine said. Token counts are None where it does not count."""

    text: str
    finish_reason: str
    """`stop` for a whole answer, `length` for one cut at max_tokens, `repetition` for a loop that was ended; others are their own class."""
    prompt_tokens: int | None = None
    image_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    """Prompt tokens that came out of the engine's prefix cache."""


class Engine(Protocol):
    """One model, hosted here or reached over HTTP. All methods run on the worker's one event loop."""

    concurrency: int
    """How many questions it can usefully have in flight."""
    takes: Form
    """What pictures it wants."""
    versions: dict[str, str]
    """Provenance for the records: what answers, in which version."""

    async def answer(self, picture: Picture, ask: Ask) -> Answer:
        """Answer one question about one picture.

        Raises:
            PermanentError: the engine refuses this frame, or fails on it again and again while it is well.
            TransientError: the engine is busy beyond patience.
            FatalError: the engine is not there, does not know the model, or refuses us.
        """

    async def probe(self) -> None:
        """Return if the engine is ready to answer; raise as `answer` does, with what to do in the message."""

    def waiting(self) -> int | None:
        """How many questions lie in the engine's own queue; None where it cannot say."""

    async def close(self) -> None:
        """Let go of connections, threads and memory."""


def open_engine(settings: WorkerSettings) -> Engine:
    """Build the engine that the settings name. Implementations are imported here, so that a worker loads only its own."""
    match settings.engine:
        case "vllm":
            try:
                from workers.engines.vllm import VllmEngine
            except ImportError as error:
                raise FatalError(f"vLLM cannot be loaded ({error}): install it beside framefleet, or choose another engine.") from error
            return VllmEngine(recipe=load_recipe(settings.recipe), model=settings.vllm_model, args=settings.vllm_args)
        case "opencv":
            from workers.engines.opencv import OpenCvEngine

            return OpenCvEngine()
        case "openai":
            from workers.engines.openai import OpenAiEngine

            return OpenAiEngine(
                base_url=settings.openai_base_url,
                api_key=settings.openai_api_key,
                model=settings.openai_model,
                response_format=settings.openai_response_format,
                concurrency=settings.openai_concurrency,
                answer_timeout_seconds=settings.openai_timeout_seconds,
                patience_seconds=min(settings.openai_patience_seconds, settings.frame_deadline_seconds / 2),
            )
        case "scripted":
            from workers.engines.scripted import ScriptedEngine

            return ScriptedEngine(latency_seconds=settings.scripted_latency_seconds, concurrency=settings.scripted_concurrency)
        case _:
            assert_never(settings.engine)
