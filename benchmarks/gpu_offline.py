"""What vLLM alone can do: its offline class, given all questions at once, in a process of its own so that its memory is free afterwards.

free        answers of exactly `TOKENS` tokens, nothing else asked
held        answers held to the recipe's JSON Schema, as the pipeline asks for them

Pictures are noise of the recipe's size, no two alike. Times are the engine core's own, out of what it says of each request.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gpu_rates import Span, curve, per_second, steady
from gpu_recipe import TOKENS
from gpu_watch import Watch
from PIL import Image

from schemas.recipe import Recipe, load_recipe
from workers.engines.vllm import OURS

from vllm import LLM, RequestOutput, SamplingParams  # isort: skip  # after the engine's module, which sets vLLM's environment
from vllm.sampling_params import StructuredOutputsParams  # isort: skip

WARM_UP = 8


def main() -> None:
    """Measure and write the figures down."""
    parser = argparse.ArgumentParser(description="Measure vLLM's saturated offline rate.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--args", type=json.loads, default={}, help="vLLM's own arguments, as JSON")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    recipe, started = load_recipe(asked.recipe), time.monotonic()
    llm = opened(asked.model, recipe, asked.args)
    start_seconds = time.monotonic() - started
    rows = {name: row(llm, recipe, sampling, asked.frames, seed=seed) for seed, (name, sampling) in enumerate(samplings(recipe).items())}
    asked.out.write_text(json.dumps({"start_seconds": round(start_seconds, 1), **settled(llm), **rows}))


def opened(model: Path, recipe: Recipe, args: dict[str, Any]) -> LLM:
    """The offline class with the worker's arguments, so far as they do not speak of serving."""
    ours = {name: value for name, value in OURS.items() if name not in {"enable_log_requests", "stream_interval"}}
    return LLM(**(ours | {"model": str(model), "disable_log_stats": False} | recipe.model.engine | args))


def settled(llm: LLM) -> dict[str, Any]:
    """What vLLM chose where nobody asked."""
    scheduler, cache = llm.llm_engine.vllm_config.scheduler_config, llm.llm_engine.vllm_config.cache_config
    return {"seats": scheduler.max_num_seqs, "tokens_a_step": scheduler.max_num_batched_tokens, "kv_cache_blocks": cache.num_gpu_blocks}


def samplings(recipe: Recipe) -> dict[str, SamplingParams]:
    """The two ways of asking."""
    temperature = recipe.sampling.temperature
    held = StructuredOutputsParams(json=recipe.answer_schema)
    return {
        "free": SamplingParams(temperature=temperature, max_tokens=TOKENS, min_tokens=TOKENS, ignore_eos=True),
        "held": SamplingParams(temperature=temperature, max_tokens=recipe.sampling.max_tokens, structured_outputs=held),
    }


def row(llm: LLM, recipe: Recipe, sampling: SamplingParams, frames: int, *, seed: int) -> dict[str, object]:
    """Figures of one way of asking, about pictures that the prefix cache has never seen."""
    llm.chat(questions(recipe, WARM_UP, seed=2 * seed), sampling, use_tqdm=False)
    asked = questions(recipe, frames, seed=2 * seed + 1)
    with Watch() as watch:
        outputs = llm.chat(asked, sampling, use_tqdm=False)
    return figures(outputs) | watch.figures(*window(outputs))


def questions(recipe: Recipe, count: int, *, seed: int) -> list[list[dict[str, Any]]]:
    """As many conversations as asked for, each about another picture, said as the worker says them."""
    random = np.random.default_rng(seed)
    system = [{"role": "system", "content": recipe.prompt.system}] if recipe.prompt.system else []
    shape = (recipe.image.max_height, recipe.image.max_width, 3)
    pictures = (Image.fromarray(random.integers(0, 256, shape, np.uint8)) for _ in range(count))
    text = {"type": "text", "text": recipe.prompt.user}
    return [[*system, {"role": "user", "content": [text, {"type": "image_pil", "image_pil": picture}]}] for picture in pictures]


def window(outputs: Sequence[RequestOutput]) -> tuple[float, float]:
    """When the rate was taken, on the clock of `time.monotonic`."""
    inside = steady(curve(spans(outputs)))
    return inside[0][0], inside[-1][0]


def spans(outputs: Sequence[RequestOutput]) -> list[Span]:
    """When each question got its seat, and when its answer's last token came."""
    return [(output.metrics.scheduled_ts, output.metrics.last_token_ts) for output in outputs]


def figures(outputs: Sequence[RequestOutput]) -> dict[str, object]:
    """Figures out of what vLLM says of each request."""
    rate, prompts = per_second(curve(spans(outputs))), [len(output.prompt_token_ids or ()) for output in outputs]
    tokens = [len(output.outputs[0].token_ids) for output in outputs]
    arrivals = [output.metrics.arrival_time for output in outputs]
    first, last = min(begin for begin, _ in spans(outputs)), max(end for _, end in spans(outputs))
    return {
        "frames": len(outputs),
        "frames_per_second": round(rate, 3),
        "frames_per_second_with_start_and_end": round(len(outputs) / (last - first), 3),
        "output_tokens_per_second": round(rate * sum(tokens) / len(tokens), 1),
        "tokens_per_answer": round(sum(tokens) / len(tokens), 1),
        "tokens_per_answer_least_and_most": [min(tokens), max(tokens)],
        "prompt_tokens": round(sum(prompts) / len(prompts), 1),
        "prompt_tokens_cached": round(sum(output.num_cached_tokens or 0 for output in outputs) / sum(prompts), 4),
        "frames_made_ready_per_second": round((len(arrivals) - 1) / max(max(arrivals) - min(arrivals), 1e-9), 1),
        "preempted": sum(getattr(output.metrics, "num_preemptions", 0) for output in outputs),
        "ended_whole": sum(output.outputs[0].finish_reason == "stop" for output in outputs),
    }


if __name__ == "__main__":
    main()
