"""What a Gemma 3 vision model is made of: the exact shape of the 12B, and a tiny one of the same kind for machines without a GPU.

The 12B's numbers are those of google/gemma-3-12b-it's config.json, as copies of it that spell out all fields give them (ostris/ai-toolkit,
whose text encoder is this model); keys that the short form leaves out are transformers' defaults of `Gemma3TextConfig`. KerasHub counts
11,765,788,416 parameters in the text model with a vocabulary of 262,144 (`gemma3_12b_text`), which a test compares with.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

PAD, EOS, BOS, UNK = 0, 1, 2, 3
START_OF_TURN, END_OF_TURN = 105, 106
START_OF_IMAGE, END_OF_IMAGE, IMAGE = 255_999, 256_000, 262_144
"""Token ids, as Gemma 3 has them."""
VOCABULARY = 262_208


class Kind(StrEnum):
    """How a tensor is filled and stored."""

    FP8 = "fp8"
    """E4M3 with one scale per output channel beside it."""
    MATRIX = "matrix"
    ZEROS = "zeros"
    ONES = "ones"
    LOUD = "loud"
    """A norm's weight that makes a layer's voice louder than its input's."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the checkpoint."""

    name: str
    shape: tuple[int, ...]
    kind: Kind = Kind.MATRIX

    @property
    def parameters(self) -> int:
        """How many numbers it holds, scales apart."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Widths and depths of the language model and, with `vision_`, of the vision tower."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    sliding_window: int
    vision_hidden: int
    vision_intermediate: int
    vision_layers: int
    vision_heads: int
    image_size: int
    image_tokens: int
    patch: int = 14
    vocabulary: int = VOCABULARY


GEMMA_3_12B = Shape(
    hidden=3840,
    intermediate=15360,
    layers=48,
    heads=16,
    kv_heads=8,
    head_dim=256,
    sliding_window=1024,
    vision_hidden=1152,
    vision_intermediate=4304,
    vision_layers=27,
    vision_heads=16,
    image_size=896,
    image_tokens=256,
)
TINY = Shape(
    hidden=64,
    intermediate=128,
    layers=2,
    heads=2,
    kv_heads=1,
    head_dim=32,
    sliding_window=512,
    vision_hidden=32,
    vision_intermediate=64,
    vision_layers=2,
    vision_heads=2,
    image_size=56,
    image_tokens=4,
)
SHAPES = {"12b": GEMMA_3_12B, "tiny": TINY}


def config(shape: Shape) -> dict[str, Any]:
    """The checkpoint's config.json, in the form that the model's own has and all versions of transformers read."""
    return {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "boi_token_index": START_OF_IMAGE,
        "eoi_token_index": END_OF_IMAGE,
        "image_token_index": IMAGE,
        "eos_token_id": [EOS, END_OF_TURN],
        "mm_tokens_per_image": shape.image_tokens,
        "initializer_range": 0.02,
        "tie_word_embeddings": True,
        "transformers_version": "4.50.0",
        "torch_dtype": "bfloat16",
        "text_config": _text_config(shape),
        "vision_config": _vision_config(shape),
        "quantization_config": FP8,
    }


def _text_config(shape: Shape) -> dict[str, Any]:
    return {
        "model_type": "gemma3_text",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "query_pre_attn_scalar": shape.head_dim,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 131_072,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1_000_000,
        "rope_local_base_freq": 10_000,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": shape.sliding_window,
        "sliding_window_pattern": min(6, shape.layers),
    }


def _vision_config(shape: Shape) -> dict[str, Any]:
    return {
        "model_type": "siglip_vision_model",
        "hidden_size": shape.vision_hidden,
        "intermediate_size": shape.vision_intermediate,
        "num_hidden_layers": shape.vision_layers,
        "num_attention_heads": shape.vision_heads,
        "hidden_act": "gelu_pytorch_tanh",
        "image_size": shape.image_size,
        "patch_size": shape.patch,
        "vision_use_head": False,
    }


_FLOAT8 = {"num_bits": 8, "type": "float", "symmetric": True}
FP8 = {
    "quant_method": "compressed-tensors",
    "format": "float-quantized",
    "quantization_status": "compressed",
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": _FLOAT8 | {"dynamic": False, "strategy": "channel"},
            "input_activations": _FLOAT8 | {"dynamic": True, "strategy": "token"},
            "output_activations": None,
        }
    },
    "ignore": ["re:.*lm_head", "re:.*vision_tower.*", "re:.*multi_modal_projector.*"],
}
"""What compressed-tensors checkpoints of the FP8-dynamic kind say of themselves."""


def tensors(shape: Shape) -> Iterator[Tensor]:
    """All tensors of the checkpoint under the names that the model's own files have."""
    yield Tensor("language_model.model.embed_tokens.weight", (shape.vocabulary, shape.hidden))
    for number in range(shape.layers):
        yield from _text_layer(shape, f"language_model.model.layers.{number}")
    yield Tensor("language_model.model.norm.weight", (shape.hidden,), Kind.ZEROS)
    yield from _vision(shape, "vision_tower.vision_model")
    yield Tensor("multi_modal_projector.mm_input_projection_weight", (shape.vision_hidden, shape.hidden))
    yield Tensor("multi_modal_projector.mm_soft_emb_norm.weight", (shape.vision_hidden,), Kind.ZEROS)


def _text_layer(shape: Shape, name: str) -> Iterator[Tensor]:
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    linear = {
        "self_attn.q_proj": (queries, shape.hidden),
        "self_attn.k_proj": (keys, shape.hidden),
        "self_attn.v_proj": (keys, shape.hidden),
        "self_attn.o_proj": (shape.hidden, queries),
        "mlp.gate_proj": (shape.intermediate, shape.hidden),
        "mlp.up_proj": (shape.intermediate, shape.hidden),
        "mlp.down_proj": (shape.hidden, shape.intermediate),
    }
    yield from (Tensor(f"{name}.{inner}.weight", size, Kind.FP8) for inner, size in linear.items())
    yield from (Tensor(f"{name}.self_attn.{one}_norm.weight", (shape.head_dim,), Kind.ZEROS) for one in "qk")
    for norm, kind in {"input": Kind.ZEROS, "post_attention": Kind.LOUD}.items():
        yield Tensor(f"{name}.{norm}_layernorm.weight", (shape.hidden,), kind)
    for norm, kind in {"pre": Kind.ZEROS, "post": Kind.LOUD}.items():
        yield Tensor(f"{name}.{norm}_feedforward_layernorm.weight", (shape.hidden,), kind)


def _vision(shape: Shape, name: str) -> Iterator[Tensor]:
    wide = shape.vision_hidden
    yield Tensor(f"{name}.embeddings.patch_embedding.weight", (wide, 3, shape.patch, shape.patch))
    yield Tensor(f"{name}.embeddings.patch_embedding.bias", (wide,), Kind.ZEROS)
    yield Tensor(f"{name}.embeddings.position_embedding.weight", ((shape.image_size // shape.patch) ** 2, wide))
    for number in range(shape.vision_layers):
        yield from _vision_layer(shape, f"{name}.encoder.layers.{number}")
    yield from _layer_norm(f"{name}.post_layernorm", wide)


def _vision_layer(shape: Shape, name: str) -> Iterator[Tensor]:
    wide, inner = shape.vision_hidden, shape.vision_intermediate
    linear = {f"self_attn.{one}_proj": (wide, wide) for one in ("q", "k", "v", "out")} | {
        "mlp.fc1": (inner, wide),
        "mlp.fc2": (wide, inner),
    }
    for part, size in linear.items():
        yield Tensor(f"{name}.{part}.weight", size)
        yield Tensor(f"{name}.{part}.bias", size[:1], Kind.ZEROS)
    yield from _layer_norm(f"{name}.layer_norm1", wide)
    yield from _layer_norm(f"{name}.layer_norm2", wide)


def _layer_norm(name: str, width: int) -> tuple[Tensor, Tensor]:
    return Tensor(f"{name}.weight", (width,), Kind.ONES), Tensor(f"{name}.bias", (width,), Kind.ZEROS)
