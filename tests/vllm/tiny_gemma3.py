"""A Gemma 3 of real architecture, processor and chat format with random weights: less than a megabyte, the same each time.

The weights are such that the picture decides the answer; as transformers draws them, every answer is one token repeated.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tiny_words import sentences
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessor,
    Gemma3Processor,
    Gemma3TextConfig,
    GemmaTokenizer,
    GenerationConfig,
    SiglipVisionConfig,
)

VOCABULARY, HIDDEN, LAYERS = 1024, 64, 2
PICTURE, PATCH, PICTURE_TOKENS = 56, 14, 4
"""4x4 patches of 14 pixels, pooled 2x2."""
LOUD = 4.0
WEIGHTS = "model.safetensors"
SPECIALS = [
    "<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>",
    "<start_of_image>", "<end_of_image>", "<image_soft_token>",
]  # fmt: skip
PAD, EOS, BOS = 0, 1, 2
END_OF_TURN, START_OF_IMAGE, END_OF_IMAGE, IMAGE = 6, 7, 8, 9
NEWLINES = ["\n" * count for count in range(1, 5)]
"""Gemma has a token for each run of newlines, and vLLM's processor relies on it."""
CHAT = """\
{{ bos_token }}
{%- macro said(content) -%}
{%- if content is string -%}{{ content | trim }}
{%- else -%}
{%- for part in content -%}{{ '<start_of_image>' if part['type'] == 'image' else part['text'] | trim }}{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{%- set system = messages[0] if messages[0]['role'] == 'system' -%}
{%- for message in messages if message['role'] != 'system' -%}
{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' }}
{%- if loop.first and system -%}{{ said(system['content']) + '\\n\\n' }}{%- endif -%}
{{ said(message['content']) + '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}
"""
"""Gemma's format: the system's words stand before the user's first."""


def write_gemma3(folder: Path, *, seed: int = 0) -> Path:
    """Write the whole checkpoint in BF16, laid out as Google's, and give its folder back."""
    torch.manual_seed(seed)
    model = Gemma3ForConditionalGeneration(_config()).to(torch.bfloat16).eval()
    _widen(model)
    model.generation_config = GenerationConfig(bos_token_id=BOS, pad_token_id=PAD, eos_token_id=[EOS, END_OF_TURN])
    model.save_pretrained(folder)
    _name_vision_weights_as_google_does(folder / WEIGHTS)
    _processor().save_pretrained(folder)
    return folder


def write_gemma3_fp8(folder: Path, *, source: Path) -> Path:
    """Write a checkpoint again with the language model's projections in FP8: a scale per channel, activations scaled as they come."""
    folder.mkdir(parents=True)
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    save_file(_quantised(load_file(source / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": FP8_DYNAMIC}, indent=2), encoding="utf-8")
    return folder


FP8 = {"num_bits": 8, "type": "float", "symmetric": True}
FP8_DYNAMIC = {
    "quant_method": "compressed-tensors",
    "format": "float-quantized",
    "quantization_status": "compressed",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": FP8 | {"dynamic": False, "strategy": "channel"},
            "input_activations": FP8 | {"dynamic": True, "strategy": "token"},
            "output_activations": None,
        }
    },
    "ignore": ["re:.*lm_head", "re:.*vision_tower.*", "re:.*multi_modal_projector.*"],
}


def _config() -> Gemma3Config:
    text = Gemma3TextConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=2 * HIDDEN, num_hidden_layers=LAYERS,
        num_attention_heads=2, num_key_value_heads=1, head_dim=32, query_pre_attn_scalar=32, max_position_embeddings=8192,
        sliding_window=512, layer_types=["sliding_attention", "full_attention"], pad_token_id=PAD, eos_token_id=EOS, bos_token_id=BOS,
    )  # fmt: skip
    vision = SiglipVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        image_size=PICTURE, patch_size=PATCH, vision_use_head=False,
    )  # fmt: skip
    return Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=PICTURE_TOKENS,
        boi_token_index=START_OF_IMAGE, eoi_token_index=END_OF_IMAGE, image_token_index=IMAGE,
        eos_token_id=[EOS, END_OF_TURN], pad_token_id=PAD, bos_token_id=BOS,
        dtype=torch.bfloat16, architectures=["Gemma3ForConditionalGeneration"],
    )  # fmt: skip


@torch.no_grad()
def _widen(model: torch.nn.Module) -> None:
    """Gemma adds what each layer says, normed, to the word just read, whose embedding is also that word's score: layers must speak up."""
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            weight.normal_(std=0.15)
        elif name.endswith(("post_attention_layernorm.weight", "post_feedforward_layernorm.weight")):
            weight.fill_(LOUD)


def _name_vision_weights_as_google_does(file: Path) -> None:
    """Say `vision_model.` again, which transformers left out of SigLIP's names: vLLM's loader wants it, and transformers reads both."""
    old, new = "vision_tower.", "vision_tower.vision_model."
    weights = {name if new in name else name.replace(old, new): weight for name, weight in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})


def _quantised(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    written = dict(weights)
    for name, weight in weights.items():
        if "language_model" in name and name.endswith("_proj.weight"):
            largest = torch.finfo(torch.float8_e4m3fn).max
            scale = (weight.float().abs().amax(dim=1, keepdim=True) / largest).clamp(min=1e-12)
            written[name] = (weight.float() / scale).clamp(-largest, largest).to(torch.float8_e4m3fn)
            written[f"{name}_scale"] = scale
    return written


def _processor() -> Gemma3Processor:
    pictures = Gemma3ImageProcessor(size={"height": PICTURE, "width": PICTURE}, image_seq_length=PICTURE_TOKENS)
    return Gemma3Processor(image_processor=pictures, tokenizer=_tokenizer(), chat_template=CHAT, image_seq_length=PICTURE_TOKENS)


def _tokenizer() -> GemmaTokenizer:
    vocabulary, merges = _learned()
    tokenizer = GemmaTokenizer(
        vocab=vocabulary,
        merges=merges,
        add_bos_token=True,
        model_max_length=8192,
        extra_special_tokens={"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"},
    )
    turns = [AddedToken(name, special=True, normalized=False) for name in ("<start_of_turn>", "<end_of_turn>")]
    tokenizer.add_tokens(turns, special_tokens=True)
    return tokenizer


def _learned() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Give Gemma's kind of vocabulary: bytes to fall back to, `▁` for spaces, runs of newlines, then pairs learned from sentences."""
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    learner.train_from_iterator(sentences(), trainers.BpeTrainer(vocab_size=VOCABULARY, show_progress=False))
    pairs = [tuple(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    tokens = [*SPECIALS, *(f"<0x{byte:02X}>" for byte in range(256)), *NEWLINES, *map(chr, range(33, 127)), "▁"]
    room = VOCABULARY - len(tokens)
    words = list(dict.fromkeys(first + second for first, second in pairs))[:room]
    vocabulary = {token: number for number, token in enumerate([*tokens, *words])}
    runs = [("\n", "\n"), ("\n\n", "\n"), ("\n\n", "\n\n")]
    return vocabulary, runs + [pair for pair in pairs if pair[0] in vocabulary and pair[1] in vocabulary and "".join(pair) in vocabulary]
