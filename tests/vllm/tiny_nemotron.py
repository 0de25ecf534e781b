"""The shape of a Nemotron Nano v2 VL, for vLLM's dummy weights: RADIO pictures, Mamba, attention and MLP layers, no weights at all.

The configuration has the fields of the published one, and names code for reading it that is not there: it is not to be run. The fleet's own
class reads it (`workers/engines/configurations.py`).

On a CPU, Mamba layers fail with vLLM's prefix cache as soon as a prompt is longer than a block: `enable_prefix_caching=False`.
"""

import json
from pathlib import Path
from typing import Any

from tiny_qwen import byte_pairs
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

PICTURE, PATCH, VISION_HIDDEN = 64, 16, 384
"""16 patches, shuffled 2x2 into 4 tokens; the narrowest RADIO that vLLM knows."""
HIDDEN = 64
SPECIALS = ["<unk>", "<s>", "</s>", "<SPECIAL_10>", "<SPECIAL_11>", "<SPECIAL_12>", "<image>", "<img>", "</img>", "<video>"]
CHAT = """\
{{ '<s>' }}
{%- for message in messages -%}
{{ '<SPECIAL_10>System\\n' if message['role'] == 'system' else '<SPECIAL_11>' + message['role'] | capitalize + '\\n' }}
{%- if message['content'] is string -%}{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}{{ '<image>' if part['type'] == 'image' else part['text'] }}{%- endfor -%}
{%- endif -%}
{{ '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<SPECIAL_11>Assistant\\n' }}{%- endif -%}
"""


def write_nemotron(folder: Path) -> Path:
    """Write all but weights and give the folder back: load it with `load_format="dummy"`."""
    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(_config(tokenizer), indent=2), encoding="utf-8")
    (folder / "generation_config.json").write_text("{}", encoding="utf-8")
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    vocabulary, merges = byte_pairs(1024)
    learned = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=learned, bos_token="<s>", eos_token="<SPECIAL_12>", pad_token="</s>", unk_token="<unk>", model_max_length=4096
    )
    tokenizer.add_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIALS], special_tokens=True)
    tokenizer.chat_template = CHAT
    return tokenizer


def _config(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "architectures": ["NemotronH_Nano_VL_V2"],
        "model_type": "NemotronH_Nano_VL_V2",
        "auto_map": {"AutoConfig": "configuration.NemotronH_Nano_VL_V2_Config"},
        "dtype": "bfloat16",
        "force_image_size": PICTURE,
        "patch_size": PATCH,
        "downsample_ratio": 0.5,
        "ps_version": "v2",
        "image_tag_type": "internvl",
        "template": "nemotron5h_nanov2",
        "use_thumbnail": True,
        "norm_mean": [0.48, 0.46, 0.41],
        "norm_std": [0.27, 0.26, 0.28],
        "vit_hidden_size": VISION_HIDDEN,
        "projector_hidden_size": 2 * HIDDEN,
        "image_token_id": tokenizer.convert_tokens_to_ids("<image>"),
        "vision_config": {
            "patch_size": PATCH,
            "hidden_size": VISION_HIDDEN,
            "preferred_resolution": [PICTURE, PICTURE],
            "args": {"model": "vit_small_patch16_224", "register_multiple": None, "teachers": [], "cpe_max_size": 256},
        },
        "llm_config": _text_config(tokenizer),
    }


def _text_config(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "model_type": "nemotron_h",
        "architectures": ["NemotronHForCausalLM"],
        "dtype": "bfloat16",
        "vocab_size": len(tokenizer),
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "hybrid_override_pattern": "M-*-",
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "max_position_embeddings": 8192,
        "mamba_num_heads": 4,
        "mamba_head_dim": 16,
        "ssm_state_size": 16,
        "n_groups": 1,
        "conv_kernel": 4,
        "chunk_size": 2048,
        "expand": 1,
        "eos_token_id": tokenizer.convert_tokens_to_ids("<SPECIAL_12>"),
    }
