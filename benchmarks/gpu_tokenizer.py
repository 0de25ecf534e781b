"""A tokenizer of Gemma 3's kind and size, made on the spot: BPE with byte fallback whose 262,208 entries include the prompt's own words.

What the prompts do not need is filled with random words as long as a large vocabulary's entries are, so that a grammar's mask is worked
out over a full vocabulary and text comes out as long as text does.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gpu_shape as shape
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SPACE = "▁"
NEWLINES, BYTES, WORDS = 107, 238, 494
"""Where runs of newlines, single bytes and words begin, as in Gemma's vocabulary."""
NEWLINE_RUNS = 31
LEARNED = 725
"""Tokens that are learned of the prompts: with so few the default recipe's has about 700, as under the model's own tokenizer."""
LENGTHS = (2, 3, 4, 5, 6, 7, 8)
WEIGHTS = (2, 4, 6, 6, 4, 3, 2)
"""Lengths of the filling words, and how often each is drawn."""
LETTERS = "eeetttaaooiinnsshhrrddlluucmfwygpbvk"
NAMED = {
    shape.PAD: "<pad>",
    shape.EOS: "<eos>",
    shape.BOS: "<bos>",
    shape.UNK: "<unk>",
    4: "<mask>",
    shape.START_OF_TURN: "<start_of_turn>",
    shape.END_OF_TURN: "<end_of_turn>",
    shape.START_OF_IMAGE: "<start_of_image>",
    shape.END_OF_IMAGE: "<end_of_image>",
    shape.IMAGE: "<image_soft_token>",
}
CHAT_TEMPLATE = """\
{{ bos_token }}
{%- set turns = messages -%}
{%- set before = '' -%}
{%- if messages[0].role == 'system' -%}
    {%- set said = messages[0].content -%}
    {%- set before = (said if said is string else said[0].text) + '\\n\\n' -%}
    {%- set turns = messages[1:] -%}
{%- endif -%}
{%- for turn in turns -%}
    {{ '<start_of_turn>' + ('model' if turn.role == 'assistant' else turn.role) + '\\n' + (before if loop.first else '') }}
    {%- if turn.content is string -%}
        {{ turn.content | trim }}
    {%- else -%}
        {%- for part in turn.content -%}
            {{ '<start_of_image>' if part.type == 'image' else part.text | trim }}
        {%- endfor -%}
    {%- endif -%}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\\n' }}
{%- endif -%}
"""
"""Turns as Gemma 3 takes them: the system's words stand at the head of the first turn."""


def write(folder: Path, texts: list[str]) -> None:
    """Write the tokenizer's files; the words of the texts become tokens."""
    tokenizer = built(texts)
    tokenizer.save(str(folder / "tokenizer.json"))
    images = {"boi_token": NAMED[shape.START_OF_IMAGE], "eoi_token": NAMED[shape.END_OF_IMAGE], "image_token": NAMED[shape.IMAGE]}
    named = {f"{name}_token": f"<{name}>" for name in ("bos", "eos", "unk", "pad", "mask")}
    said: dict[str, Any] = {
        "tokenizer_class": "GemmaTokenizer",
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 131_072,
        "extra_special_tokens": images,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(said | named | images))
    (folder / "special_tokens_map.json").write_text(json.dumps(named | images))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)


def built(texts: list[str]) -> Tokenizer:
    """Train on the texts, then fill up to the full vocabulary."""
    pieces, merges = learned(texts)
    vocabulary = vocabulary_of(pieces)
    tokenizer = Tokenizer(
        models.BPE(vocabulary, [*_newline_merges(), *merges], unk_token=NAMED[shape.UNK], byte_fallback=True, fuse_unk=True)
    )
    _shape_like_gemma(tokenizer)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", shape.BOS)])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in NAMED.values()])
    return tokenizer


def learned(texts: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """What BPE makes of the texts: pieces, and the merges that lead to them."""
    tokenizer = Tokenizer(models.BPE(unk_token=NAMED[shape.UNK]))
    _shape_like_gemma(tokenizer)
    alphabet = [chr(code) for code in range(33, 127)]
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=LEARNED, initial_alphabet=[*alphabet, SPACE], show_progress=False))
    model = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(pair if isinstance(pair, list) else pair.split(" ")) for pair in model["merges"]]
    pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
    whole = set(pieces)
    return pieces, [(left, right) for left, right in merges if left + right in whole and "\n" not in left + right]


def _shape_like_gemma(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(SPACE, "merged_with_next")


def vocabulary_of(pieces: list[str]) -> dict[str, int]:
    """Every id's token."""
    fixed = NAMED | {NEWLINES + number: "\n" * (number + 1) for number in range(NEWLINE_RUNS)}
    fixed |= {BYTES + number: f"<0x{number:02X}>" for number in range(256)}
    taken = set(fixed.values())
    rest = iter([piece for piece in pieces if piece not in taken])
    fill = words(taken | set(pieces))
    for place in range(shape.VOCABULARY):
        if place not in fixed:
            fixed[place] = f"<unused{place}>" if place < WORDS else next(rest, None) or next(fill)
    return {token: place for place, token in sorted(fixed.items())}


def words(taken: set[str]) -> Iterator[str]:
    """Random words that are not taken, half of them at a word's beginning."""
    draw = random.Random(0)  # noqa: S311 - filling, not a secret
    seen = set(taken)
    while True:
        length = draw.choices(LENGTHS, WEIGHTS)[0]
        word = "".join(draw.choices(LETTERS, k=length))
        word = SPACE + word[1:] if draw.random() < 0.5 else word
        if word not in seen:
            seen.add(word)
            yield word


def _newline_merges() -> list[tuple[str, str]]:
    """Merges of up to four newlines, which vLLM's processor for Gemma 3 joins around a picture."""
    return [("\n", "\n"), ("\n\n", "\n"), ("\n\n", "\n\n")]
