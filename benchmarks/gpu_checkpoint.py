"""Makes a model of random weights: safetensors in compressed-tensors' FP8 layout, tokenizer, processor and chat template.

The weights are drawn and written (14 GB for the 12B, a minute), not left to vLLM's `load_format=dummy`: that draws from -0.001 to 0.001,
which FP8 rounds to little more than zeros, and a GPU multiplies zeros at less power and so at a higher clock than a model's weights.
It is a process of its own, so that nothing of the GPU is held when vLLM comes.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import gpu_tokenizer
import torch
from gpu_shape import SHAPES, Kind, Shape, Tensor, config, tensors
from safetensors.torch import save_file

from schemas.recipe import load_recipe

FILE_BYTES = 2 << 30
SPREAD = 0.02
"""Standard deviation of the weights: the model's own `initializer_range`."""
STEP = 100.0
"""Standard deviation of the FP8 numbers, whose largest is 448."""
LOUDNESS = 4.0
"""Without it the residual stream stays near the last token's embedding, which is tied to the output: the model repeats itself for ever."""


def main() -> None:
    """Write a checkpoint."""
    parser = argparse.ArgumentParser(description="Make a model of random weights.")
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--recipe", required=True, help="whose prompt the tokenizer shall know")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    prompt = load_recipe(asked.recipe).prompt
    write(SHAPES[asked.shape], asked.out, texts=[prompt.system, prompt.user])


def write(shape: Shape, folder: Path, *, texts: list[str]) -> None:
    """Write the checkpoint, whole or not at all; the texts are what its tokenizer knows the words of."""
    unfinished = folder.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    _describe(shape, unfinished)
    gpu_tokenizer.write(unfinished, texts)
    _write_weights(shape, unfinished)
    unfinished.rename(folder)


def _describe(shape: Shape, folder: Path) -> None:
    side = {"height": shape.image_size, "width": shape.image_size}
    processor = {"processor_class": "Gemma3Processor", "image_seq_length": shape.image_tokens}
    pictures = {
        "image_processor_type": "Gemma3ImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": side,
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    said = config(shape)
    ends = {"bos_token_id": 2, "pad_token_id": 0, "eos_token_id": said["eos_token_id"]}
    files = {"config": said, "generation_config": ends, "processor_config": processor, "preprocessor_config": pictures | processor}
    for name, contents in files.items():
        (folder / f"{name}.json").write_text(json.dumps(contents, indent=2))


def _write_weights(shape: Shape, folder: Path) -> None:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator(device).manual_seed(0)
    places: dict[str, str] = {}
    for number, group in enumerate(_groups(tensors(shape))):
        drawn = {name: values for tensor in group for name, values in _draw(tensor, generator).items()}
        file = f"model-{number:05d}.safetensors"
        save_file(drawn, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(drawn, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def _groups(all_of_them: Iterator[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors that share a file."""
    group, size = list[Tensor](), 0
    for tensor in all_of_them:
        group.append(tensor)
        size += tensor.parameters * (1 if tensor.kind is Kind.FP8 else 2)
        if size >= FILE_BYTES:
            yield group
            group, size = [], 0
    yield group


def _draw(tensor: Tensor, generator: torch.Generator) -> dict[str, torch.Tensor]:
    """A tensor's values by name, on the CPU."""
    match tensor.kind:
        case Kind.FP8:
            numbers = torch.empty(tensor.shape, device=generator.device).normal_(0, STEP, generator=generator).clamp_(-448, 448)
            scales = torch.full((tensor.shape[0], 1), SPREAD / STEP)
            return {tensor.name: numbers.to(torch.float8_e4m3fn).cpu(), f"{tensor.name}_scale": scales}
        case Kind.MATRIX:
            drawn = torch.empty(tensor.shape, device=generator.device, dtype=torch.bfloat16).normal_(0, SPREAD, generator=generator)
            return {tensor.name: drawn.cpu()}
        case Kind.ZEROS:
            return {tensor.name: torch.zeros(tensor.shape, dtype=torch.bfloat16)}
        case Kind.ONES:
            return {tensor.name: torch.ones(tensor.shape, dtype=torch.bfloat16)}
        case Kind.LOUD:
            return {tensor.name: torch.full(tensor.shape, LOUDNESS, dtype=torch.bfloat16)}


if __name__ == "__main__":
    main()
