"""Split patterns and special tokens of rank files that hold neither: cl100k_base, Llama 3 and Llama 4.

They are recognised by their sha256. Source of Llama's: meta-llama/llama-models 0.3.0, `llama3/tokenizer.py` and
`llama4/tokenizer.py`. Those files are Meta's and are never part of this package.
"""

from __future__ import annotations

from dataclasses import dataclass

from vocab.splitting import CL100K_REGEX, LLAMA3_REGEX, O200K_REGEX

CL100K_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
CL100K_SPECIAL_TOKENS = {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}


@dataclass(frozen=True)
class KnownRanks:
    """What a rank file known by its digest leaves out."""

    name: str
    regex: str
    special_texts: list[str]  # in id order, straight on from the ranks


def _reserved(prefix: str, first: int, stop: int) -> list[str]:
    return [f"<|{prefix}reserved_special_token_{k}|>" for k in range(first, stop)]


_LLAMA3_SPECIAL = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    *_reserved("", 0, 2),
    "<|finetune_right_pad_id|>",
    "<|step_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|python_tag|>",
    "<|image|>",
    *_reserved("", 2, 246),
]

_LLAMA4_NAMED = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|header_start|>",
    "<|header_end|>",
    "<|eom|>",
    "<|eot|>",
    "<|step|>",
    *_reserved("text_post_train_", 0, 6),
    "<|python_start|>",
    "<|python_end|>",
    "<|finetune_right_pad|>",
    *_reserved("text_post_train_", 8, 69),
    "<|image_start|>",
    "<|image_end|>",
    *_reserved("vision_", 0, 2),
    "<|tile_x_separator|>",
    "<|tile_y_separator|>",
    *_reserved("vision_", 2, 6),
    "<|image|>",
    *_reserved("vision_", 6, 7),
    "<|patch|>",
    *_reserved("vision_", 7, 1048),
    *_reserved("reasoning_", 0, 8),
    "<|reasoning_thinking_start|>",
    "<|reasoning_thinking_end|>",
]
_LLAMA4_SPECIAL = [*_LLAMA4_NAMED, *_reserved("", 0, 2048 - len(_LLAMA4_NAMED))]

LLAMA_RANKS = {
    "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55": KnownRanks(
        "llama3", LLAMA3_REGEX, _LLAMA3_SPECIAL
    ),
    "d0bdbaf59b0762c8c807617e2d8ea51420eb1b1de266df2495be755c8e0ed6ed": KnownRanks(
        "llama4", O200K_REGEX, _LLAMA4_SPECIAL
    ),
}


def named_by_sha256(sha256: str, n_tokens: int) -> tuple[str, str, dict[str, int]] | None:
    """Name, split pattern and special tokens of a rank file that is known by its digest; None for any other."""
    if sha256 == CL100K_SHA256:
        return "cl100k_base", CL100K_REGEX, CL100K_SPECIAL_TOKENS
    if known := LLAMA_RANKS.get(sha256):
        return known.name, known.regex, {text: n_tokens + k for k, text in enumerate(known.special_texts)}
    return None
