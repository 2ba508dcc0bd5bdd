"""Texts whose ids are locked: hostile ones, many scripts, special tokens within text, and rows of tokens."""

from __future__ import annotations

import random
from collections.abc import Sequence

from vocab.errors import SourceError
from vocab.hard_texts import HARD_TEXTS, SCRIPTS
from vocab.measured import MeasuredTokenizer

_N_SPECIAL, _N_ROWS, _ROW = 50, 60, 6
# Numbers and words on which transformers 5 changed ids (huggingface/transformers #45812, #45920).
_CHANGED = ["2023", "650841823", "Hello, world! It's 2023.", "def f(x):\n    return x ** 2  # squared\n"]


def golden_texts(tokenizer: MeasuredTokenizer, seed: int = 0) -> list[str]:
    """Some 150 texts to lock the ids of, and more for many special tokens.

    Args:
        tokenizer: gives special tokens, and ordinary ones for rows of them where they are known.
        seed: seed of the random rows.
    """
    special = list(tokenizer.special_tokens)
    step = max(1, len(special) // _N_SPECIAL)
    within = [f"a{token}b {token}\n {token}{token}" for token in special[::step][:_N_SPECIAL]]
    return [*HARD_TEXTS, *SCRIPTS.values(), *_CHANGED, *within, *_rows(tokenizer, seed)]


def _rows(tokenizer: MeasuredTokenizer, seed: int) -> Sequence[str]:
    try:
        tokens = list(tokenizer.tokens())
    except SourceError:  # it does not give the bytes of its tokens
        return []
    rng = random.Random(seed)  # noqa: S311
    return [b"".join(rng.choices(tokens, k=_ROW)).decode(errors="replace") for _ in range(_N_ROWS if tokens else 0)]
