"""The GPU benchmark's model is a Gemma 3 checkpoint in FP8, and its tokenizer makes as much of the real prompt as the real one does."""

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoTokenizer

from schemas.recipe import load_recipe

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))  # behind everything else, so that no name there hides another

import gpu_checkpoint
import gpu_shape

PROMPT = load_recipe("vidcap-12b").prompt


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gpu") / "tiny"
    gpu_checkpoint.write(gpu_shape.TINY, folder, texts=[PROMPT.system, PROMPT.user])
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


def test_every_tensor_is_written_once_and_every_fp8_one_has_its_scales(folder):
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    wanted = {one.name: one.shape for one in gpu_shape.tensors(gpu_shape.TINY)}
    fp8 = {one.name for one in gpu_shape.tensors(gpu_shape.TINY) if one.kind is gpu_shape.Kind.FP8}
    assert set(index) == set(wanted) | {f"{name}_scale" for name in fp8}
    for file in set(index.values()):
        with safe_open(folder / file, "pt") as opened:
            written = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no dict
        assert all(tuple(written[name].shape) == wanted[name] for name in set(written) & set(wanted))
        assert {name for name, values in written.items() if values.dtype is torch.float8_e4m3fn} == fp8 & set(written)


def test_fp8_weights_fill_the_range_that_a_models_weights_fill(folder):
    with safe_open(folder / "model-00000.safetensors", "pt") as opened:
        weights = opened.get_tensor("language_model.model.layers.0.mlp.up_proj.weight").float()
    assert 90 < weights.std() < 110
    assert weights.isfinite().all()
    assert (weights == 0).float().mean() < 0.01


def test_transformers_read_the_shape_of_the_12b_as_its_own(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(gpu_shape.config(gpu_shape.GEMMA_3_12B)))
    text = AutoConfig.from_pretrained(tmp_path).text_config
    assert [number for number, kind in enumerate(text.layer_types) if kind == "full_attention"] == list(range(5, 48, 6))
    assert text.rope_parameters["full_attention"]["factor"] == 8.0
    assert text.rope_parameters["sliding_attention"]["rope_theta"] == 10_000


def test_the_tokenizer_has_the_models_size_and_places(tokenizer):
    assert len(tokenizer) == gpu_shape.VOCABULARY
    named = {
        "<bos>": 2,
        "<start_of_turn>": 105,
        "<end_of_turn>": 106,
        "\n": 107,
        "<start_of_image>": 255_999,
        "<image_soft_token>": 262_144,
    }
    assert tokenizer.convert_tokens_to_ids(list(named)) == list(named.values())


def test_the_real_prompt_has_about_as_many_tokens_as_under_the_models_tokenizer(tokenizer):
    turn = [
        {"role": "system", "content": PROMPT.system},
        {"role": "user", "content": [{"type": "text", "text": PROMPT.user}, {"type": "image"}]},
    ]
    text = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
    assert 690 < len(tokenizer(text, add_special_tokens=False)["input_ids"]) < 730
    assert text.endswith("<start_of_image><end_of_turn>\n<start_of_turn>model\n")


def test_what_the_tokenizer_takes_in_it_gives_out(tokenizer):
    said = 'Keys: {"description": "Ünder the brücke, 4 trams"}\n\nrest'
    assert tokenizer.decode(tokenizer(said, add_special_tokens=False)["input_ids"]) == said
