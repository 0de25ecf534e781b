"""The tiny checkpoints are worth testing with: vLLM runs them as transformers does, and what they say depends on the picture."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import drawn_weights  # noqa: F401 - registers the load format
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tiny_gemma3 import write_gemma3
from tiny_qwen import write_qwen
from transformers import AutoProcessor, Gemma3ForConditionalGeneration
from vllm import LLM, SamplingParams
from vllm.outputs import RequestOutput

TOKENS = 12
SMALL = {
    "max_model_len": 1024,
    "max_num_seqs": 2,
    "enforce_eager": True,
    "kv_cache_memory_bytes": 16 << 20,
    "limit_mm_per_prompt": {"image": 1, "video": 0},
    "mm_processor_cache_gb": 0,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "gemma3": {"dtype": "float32", "limit_mm_per_prompt": {"image": 1}},
    "gemma3_fp8": {"limit_mm_per_prompt": {"image": 1}},
    "qwen": {},
    "nemotron": {"load_format": "drawn", "enable_prefix_caching": False},
}


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (96, 128, 3), dtype=np.uint8))


PICTURES = {
    "red": Image.new("RGB", (128, 96), "red"),
    "white": Image.new("RGB", (128, 96), "white"),
    "noise": noise(0),
    "other noise": noise(1),
}


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest) -> Iterator[LLM]:
    folder = request.getfixturevalue(request.param)
    opened = LLM(model=str(folder), **SMALL | FAMILIES[request.param])
    yield opened
    opened.llm_engine.engine_core.shutdown()


def talk(**picture: object) -> list[dict[str, object]]:
    return [{"role": "user", "content": [picture, {"type": "text", "text": "Describe the video clip."}]}]


def answer(engine: LLM, picture: Image.Image) -> RequestOutput:
    greedy = SamplingParams(temperature=0, max_tokens=TOKENS)
    [answered] = engine.chat(talk(type="image_pil", image_pil=picture), greedy, use_tqdm=False)
    return answered


def said_by(engine: LLM, picture: Image.Image) -> tuple[int, ...]:
    return tuple(answer(engine, picture).outputs[0].token_ids)


def bodies(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("engine", FAMILIES, indirect=True)
def test_every_picture_has_an_answer_of_its_own(engine: LLM) -> None:
    assert len({said_by(engine, picture) for picture in PICTURES.values()}) == len(PICTURES)


@pytest.mark.parametrize("engine", FAMILIES, indirect=True)
def test_the_same_picture_has_the_same_answer(engine: LLM) -> None:
    assert said_by(engine, noise(0)) == said_by(engine, noise(0))


@pytest.mark.parametrize("engine", ["gemma3"], indirect=True)
@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_greedy_tokens_equal_those_of_transformers(engine: LLM, gemma3: Path, picture: Image.Image) -> None:
    processor = AutoProcessor.from_pretrained(gemma3)
    asked = processor.apply_chat_template(
        talk(type="image", image=picture), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    del asked["token_type_ids"]  # a picture's tokens see each other both ways with it; vLLM on a CPU, unlike on a GPU, reads them in order
    model = Gemma3ForConditionalGeneration.from_pretrained(gemma3, dtype=torch.float32)
    [tokens] = model.generate(**asked, max_new_tokens=TOKENS, do_sample=False).tolist()
    answered = answer(engine, picture)
    assert [*answered.prompt_token_ids, *answered.outputs[0].token_ids] == tokens


@pytest.mark.parametrize("engine", ["gemma3_fp8"], indirect=True)
def test_projections_of_the_quantised_checkpoint_are_fp8(engine: LLM, gemma3_fp8: Path) -> None:
    assert engine.llm_engine.model_config.quantization == "compressed-tensors"
    weights = load_file(gemma3_fp8 / "model.safetensors")
    quantised = {name for name, weight in weights.items() if weight.dtype == torch.float8_e4m3fn}
    assert quantised == {name for name in weights if "language_model" in name and name.endswith("_proj.weight")}
    assert len(quantised) == 14  # seven of each of two layers


@pytest.mark.parametrize(("write", "built"), [(write_gemma3, "gemma3"), (write_qwen, "qwen")])
def test_a_checkpoint_is_the_same_each_time(write: Any, built: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    assert bodies(write(tmp_path / built)) == bodies(request.getfixturevalue(built))
