"""What the fleet delivers on a GPU against what vLLM alone can do on it: an FP8 model of the 12B's exact shape with random weights.

delivered_over_offline
    Frames per second of the pipeline, from clips in a folder to committed lines, over those of vLLM's offline class given all questions at
    once. Both ask the same, held to the recipe's JSON Schema, and both rates are slopes over the middle of a run. The aim is 0.95.
delivered_over_offline_free
    The same over answers of exactly 250 tokens with no schema: what holding answers to it costs is in this one.
gpu_seconds_per_frame, dollars_per_million_frames
    One GPU's time for a delivered frame, and what a million cost at the price given.
prompt_tokens_cached
    Part of the prompts' tokens that vLLM's prefix cache had: the text, but never the picture.
seconds_to_first_frame
    From the worker's start to the first caption: load, compile, warm-up.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import gpu_pipeline
import gpu_recipe
from gpu_watch import gpu
from processes import this_machine
from report import show

from schemas.model import content_name

HERE = Path(__file__).parent
TINY_ARGS = {"enforce_eager": True, "kv_cache_memory_bytes": 128 << 20, "max_num_seqs": 8, "max_model_len": 4096}
FRAMES, TINY_FRAMES = 2400, 48
NAMED = ("vllm", "torch", "transformers", "compressed-tensors", "llguidance", "flashinfer-python")


def main() -> None:
    """Measure and print."""
    asked = options().parse_args()
    if not asked.tiny and not gpu():
        raise SystemExit("There is no NVIDIA GPU here: --tiny shows on a CPU that all of it works.")
    if asked.tiny:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    with working_folder(asked.work) as folder:
        show(measure(asked, folder) | {"settings": settings(asked), "machine": machine()}, as_json=asked.json)


def options() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(description="Measure the fleet on a GPU against vLLM alone.")
    parser.add_argument("--tiny", action="store_true", help="a tiny model on a CPU, to see that it works; its figures say nothing")
    parser.add_argument("--frames", type=int, help=f"frames of each run [{FRAMES}; tiny {TINY_FRAMES}]")
    parser.add_argument("--dollars-per-hour", type=float, default=2.0, help="price of the GPU [2]")
    parser.add_argument("--vllm-args", type=json.loads, default={}, help="vLLM's own arguments for both, as JSON")
    parser.add_argument("--work", type=Path, help="keep model (14 GB), clips and vLLM's own figures here, and use what is there")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


@contextmanager
def working_folder(kept: Path | None) -> Iterator[Path]:
    """Where everything lies while it is needed."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="framefleet-gpu-") as name:
        yield Path(name)


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Make the model, measure vLLM alone, then the pipeline."""
    recipe = gpu_recipe.measured_recipe()
    written = gpu_recipe.write(recipe, folder / "recipe.toml")
    shape, frames, args = ("tiny", TINY_FRAMES, TINY_ARGS) if asked.tiny else ("12b", FRAMES, {})
    frames, args = asked.frames or frames, args | asked.vllm_args
    model = checkpoint(folder / f"model-{shape}", shape=shape, recipe=written)
    alone = offline(folder, model=model, recipe=written, frames=frames, args=args)
    runs = folder / "run"
    shutil.rmtree(runs, ignore_errors=True)
    runs.mkdir()
    ours = gpu_pipeline.measure(runs, model=model, recipe=written, frames=frames, args=args)
    return ratios(ours, alone, dollars_per_hour=asked.dollars_per_hour) | {"pipeline": ours, "offline": alone}


def checkpoint(model: Path, *, shape: str, recipe: Path) -> Path:
    """The model, made unless the folder has it."""
    if not model.exists():
        run("gpu_checkpoint.py", shape=shape, recipe=recipe, out=model)
    return model


def offline(folder: Path, *, model: Path, recipe: Path, frames: int, args: dict[str, Any]) -> dict[str, Any]:
    """VLLM's own figures, measured unless the folder has them for just this."""
    out = folder / f"offline-{content_name(model.name, recipe.read_text(), frames, args)[:16]}.json"
    if not out.exists():
        run("gpu_offline.py", model=model, recipe=recipe, frames=frames, args=json.dumps(args), out=out)
    figures: dict[str, Any] = json.loads(out.read_text())
    return figures


def run(script: str, **options: object) -> None:
    """Run a part as a process of its own, with what it says on standard error."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    subprocess.run([sys.executable, str(HERE / script), *words], check=True, stdout=sys.stderr)


def ratios(ours: dict[str, Any], alone: dict[str, Any], *, dollars_per_hour: float) -> dict[str, float]:
    """The figures that all is about."""
    rate = ours["frames_per_second"]
    return {
        "delivered_over_offline": round(rate / alone["held"]["frames_per_second"], 4),
        "delivered_over_offline_free": round(rate / alone["free"]["frames_per_second"], 4),
        "frames_per_second": rate,
        "gpu_seconds_per_frame": round(1 / rate, 4),
        "dollars_per_million_frames": round(dollars_per_hour / 3600 / rate * 1e6, 2),
    }


def settings(asked: argparse.Namespace) -> dict[str, Any]:
    """What was asked for."""
    told = {name: value for name, value in vars(asked).items() if name not in {"json", "work"}}
    return told | {"answer_tokens": gpu_recipe.TOKENS}


def machine() -> dict[str, Any]:
    """Hardware and versions."""
    here = asdict(this_machine())
    here["versions"] |= {name: found for name in NAMED if (found := installed(name))}
    return gpu() | here


def installed(name: str) -> str | None:
    """A distribution's version, if it is there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
