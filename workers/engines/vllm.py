"""Hosts one model with vLLM: a window onto an engine whose core is a process of its own.

Pictures go in as arrays, behind the text that all frames share, so that the text is worked out once and kept by vLLM's prefix cache.
When the core dies nothing revives it: whoever asks gets an EngineDiedError, and the worker leaves to be started again.
"""

import asyncio
import gc
import logging
import os
import uuid
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")  # vLLM reads its own environment when it is imported; nothing is told to anybody
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")  # a worker has threads, and a process with threads must not fork

import numpy as np
import torch
import vllm
from PIL import Image
from vllm import SamplingParams
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import GracefulHTTPError, VLLMClientError
from vllm.renderers import ChatParams
from vllm.sampling_params import RepetitionDetectionParams, RequestOutputKind, StructuredOutputsParams
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError
from vllm.v1.metrics.reader import get_metrics_snapshot

from schemas.errors import EngineDiedError, FatalError, PermanentError, TransientError, UnsuitableError
from schemas.reasons import Reason, Stage
from schemas.recipe import ImageSize, Recipe
from workers.engines import Answer, Ask
from workers.keyframe import Form, Picture

OURS: dict[str, Any] = {
    "load_format": "safetensors",
    "trust_remote_code": False,
    "tensor_parallel_size": 1,
    "max_model_len": 8192,
    "enable_prefix_caching": True,
    "mm_processor_cache_gb": 0,  # no two pictures are equal
    "limit_mm_per_prompt": {"image": 1},
    "structured_outputs_config": {"backend": "guidance", "disable_any_whitespace": True},
    "stream_interval": 64,  # an answer's pieces are wanted only where it breaks off
    "enable_log_requests": False,
}
"""What we ask of vLLM where neither the recipe nor the operator asks otherwise."""
LOOP = {"max_pattern_size": 16, "min_pattern_size": 1, "min_count": 24}
"""An answer that says the same 1 to 16 tokens so often in a row says nothing more."""
SPARE = 1.25
"""Questions in flight per seat in the engine's batch: while some are answered, others are made ready."""
PROBE_TOKENS = 16
LONGEST_SAYING = 500

log = logging.getLogger(__name__)


class VllmEngine:
    """The recipe's model on this machine's accelerator; `model` is where it lies if not at its hub, `args` are vLLM's own, over ours.

    Must be made on the event loop that it will be used on.

    Raises:
        FatalError: the model cannot be loaded.
    """

    def __init__(self, *, recipe: Recipe, model: str | None = None, args: dict[str, Any] | None = None) -> None:
        self._recipe = recipe
        self._closed = False
        self._engine: Any = _start(_arguments(recipe, model) | (args or {}))
        self._tried: dict[str, asyncio.Task[None]] = {}
        """Whether the engine takes a recipe's grammar, by the recipe's id."""
        self.concurrency = max(1, int(SPARE * self._engine.vllm_config.scheduler_config.max_num_seqs))
        self.takes = Form.RGB
        self.versions = _versions(recipe, self._engine)

    async def answer(self, picture: Picture, ask: Ask) -> Answer:
        """Answer one question about one picture; whoever stops waiting has it aborted in the engine."""
        if ask.constrained:
            await self._expect_grammar(ask.recipe)
        try:
            return await self._ask(picture, ask)
        except PermanentError:
            self._tried.pop(ask.recipe.recipe_id, None)  # is it the frame, or are we sick?
            await self._expect_grammar(ask.recipe)
            raise

    async def probe(self) -> None:
        """Warm up with the real prompt and the largest picture, held to the recipe's schema."""
        await self._expect_grammar(self._recipe)

    def waiting(self) -> int | None:
        """How many questions wait for a seat in the engine's batch."""
        told = [int(metric.value) for metric in get_metrics_snapshot() if metric.name == "vllm:num_requests_waiting"]
        return sum(told) if told else None

    async def close(self) -> None:
        """End the engine's core, if it lives. Nothing waits for it any more, and it is not to mourn that in the log."""
        if self._closed:
            return
        self._closed = True
        if self._engine.output_handler is not None:
            self._engine.output_handler.cancel()
        self._engine.shutdown(timeout=0)
        await asyncio.sleep(0)
        self._engine = None
        gc.collect()  # at the end of the process its finaliser would find its own modules gone

    async def _expect_grammar(self, recipe: Recipe) -> None:
        """Return once the engine has answered this recipe; the first to ask tries, the others wait.

        Raises:
            UnsuitableError: it is for another model, or its grammar does not compile.
        """
        task = self._tried.get(recipe.recipe_id)
        if task is None:
            task = self._tried[recipe.recipe_id] = asyncio.create_task(self._try(recipe))
        if not task.done() or task.exception() is not None:
            await asyncio.shield(task)

    async def _try(self, recipe: Recipe) -> None:
        if recipe.model != self._recipe.model:
            raise UnsuitableError(
                f"This worker hosts {_name(self._recipe)}, and the job wants {_name(recipe)}: start workers with that recipe for it."
            )
        ask = Ask(recipe=recipe, max_tokens=PROBE_TOKENS, temperature=0.0, seed=recipe.sampling.seed)
        try:
            answer = await self._ask(_grey(recipe.image), ask)
        except PermanentError as error:
            raise UnsuitableError(
                f"vLLM cannot answer the recipe {recipe.name!r}: {error} Mend the recipe or the engine's settings."
            ) from error
        if answer.finish_reason == "error" or not answer.output_tokens:
            raise UnsuitableError(
                f"vLLM cannot hold answers to the JSON Schema of the recipe {recipe.name!r}: its grammar does not compile. "
                "Simplify it, or name another back end (structured_outputs_config, with disable_any_whitespace) in FRAMEFLEET_VLLM_ARGS."
            )

    async def _ask(self, picture: Picture, ask: Ask) -> Answer:
        try:
            prompt = await self._prompt(picture, ask.recipe)
            return await self._generate(prompt, ask)
        except EngineDeadError as error:
            raise EngineDiedError("The engine's process died.") from error
        except EngineGenerateError as error:
            if self._engine.errored:
                raise EngineDiedError("The engine failed, with all that it was at.") from error
            raise PermanentError(Reason.ENGINE_FAILED, Stage.CAPTION, f"vLLM failed on this frame: {error.__cause__ or error}.") from error
        except GracefulHTTPError as error:
            raise TransientError(f"vLLM takes no more questions now: {error}.") from error
        except (VLLMClientError, ValueError, TypeError) as error:
            raise PermanentError(Reason.ENGINE_REFUSED, Stage.CAPTION, f"vLLM refuses this question: {error}.") from error

    async def _prompt(self, picture: Picture, recipe: Recipe) -> Any:
        image = {"type": "image_pil", "image_pil": Image.fromarray(picture.array)}
        turn = {"role": "user", "content": [{"type": "text", "text": recipe.prompt.user}, image]}
        system = [{"role": "system", "content": recipe.prompt.system}] if recipe.prompt.system else []
        how = ChatParams(chat_template_kwargs={"add_generation_prompt": True})
        _, (prompt,) = await self._engine.renderer.render_chat_async([[*system, turn]], how)
        return prompt

    async def _generate(self, prompt: Any, ask: Ask) -> Answer:
        output, tokens = None, 0
        async for output in self._engine.generate(prompt, _sampling(ask, engine_seed=self._recipe.sampling.seed), uuid.uuid4().hex):
            ask.said.append(output.outputs[0].text)
            tokens += len(output.outputs[0].token_ids)
        assert output is not None  # noqa: S101 - every request has an end, which is an output
        if output.outputs[0].finish_reason == "abort":  # not by us, who listen no more once we abort
            raise EngineDiedError("The engine is being ended.")
        return Answer(
            text="".join(ask.said),
            finish_reason=output.outputs[0].finish_reason or "abort",
            prompt_tokens=len(output.prompt_token_ids or ()),
            image_tokens=_image_tokens(prompt),
            output_tokens=tokens,
            cached_tokens=output.num_cached_tokens,
        )


def _start(args: dict[str, Any]) -> AsyncLLM:
    """Start the engine, with as many seats and tokens a step as vLLM gives its own offline class: nobody waits for one answer here."""
    try:
        return AsyncLLM.from_engine_args(AsyncEngineArgs(**args), usage_context=UsageContext.LLM_CLASS)
    except Exception as error:
        log.debug("vLLM does not start", exc_info=True)
        raise FatalError(
            f"vLLM cannot host {args['model']}: {_brief(error)}. See vLLM's own words above; name a folder with FRAMEFLEET_VLLM_MODEL, "
            "or another recipe with FRAMEFLEET_RECIPE."
        ) from error


def _brief(error: Exception) -> str:
    """An error's words on one line, cut."""
    return " ".join(str(error).split())[:LONGEST_SAYING]


def _arguments(recipe: Recipe, model: str | None) -> dict[str, Any]:
    """Our arguments, and the recipe's over them. Neither a folder nor a place in object storage has revisions."""
    place = model or recipe.model.name
    revision = None if "://" in place or Path(place).is_dir() else recipe.model.revision
    return OURS | {"model": place, "revision": revision, "seed": recipe.sampling.seed} | recipe.model.engine


def _sampling(ask: Ask, *, engine_seed: int) -> SamplingParams:
    """Sampling parameters of one question.

    Only another seed than the engine's is a request's own: a generator for each request costs a kernel launch per request and step.
    """
    sampling, constraint = ask.recipe.sampling, {}
    if ask.exact_tokens:
        constraint = {"min_tokens": ask.max_tokens, "ignore_eos": True}
    elif ask.constrained:
        constraint = {"structured_outputs": StructuredOutputsParams(json=ask.recipe.answer_schema)}
    if not ask.exact_tokens:
        constraint["repetition_detection"] = RepetitionDetectionParams(**LOOP)
    asked = {
        "temperature": ask.temperature,
        "top_p": sampling.top_p,
        "seed": None if ask.seed == engine_seed else ask.seed,
        "max_tokens": ask.max_tokens,
        "output_kind": RequestOutputKind.DELTA,
    }
    return SamplingParams.from_optional(**(asked | sampling.extra | constraint))


@cache
def _grey(image: ImageSize) -> Picture:
    """A picture as large as the recipe's pictures get."""
    pixels = np.full((image.max_height, image.max_width, 3), 128, np.uint8)
    return Picture.of(pixels, form=Form.RGB, jpeg_quality=image.jpeg_quality)


def _image_tokens(prompt: Any) -> int | None:
    places = prompt.get("mm_placeholders", {}).get("image")
    return sum(place.get_num_embeds() for place in places) if places else None


def _versions(recipe: Recipe, engine: AsyncLLM) -> dict[str, str]:
    quantization = str(engine.model_config.quantization or "none")
    return {
        "engine": "vllm",
        "vllm": vllm.__version__,
        "torch": str(torch.__version__),
        "model": _name(recipe),
        "quantization": quantization,
    }


def _name(recipe: Recipe) -> str:
    return f"{recipe.model.name}@{recipe.model.revision}"
