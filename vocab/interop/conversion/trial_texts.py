"""Texts to try encoders with: hard ones, every token of a vocabulary, and real pre-tokens."""

from __future__ import annotations

import random

from vocab.corpus.profile import builtin_profile
from vocab.hard_texts import HARD_TEXTS
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Vocabulary


def trial_texts(vocabulary: Vocabulary, n_bytes: int, seed: int = 0) -> list[str]:
    """Texts to try encoders of a vocabulary with.

    They are hard texts, each token by itself, random rows of tokens, and pre-tokens of the built-in profile. These are
    drawn by their counts, part after part, some hundred in each text.

    Args:
        vocabulary: the vocabulary.
        n_bytes: least bytes of the profile's pre-tokens.
        seed: seed of the random choices.
    """
    rng = random.Random(seed)  # noqa: S311
    tokens = list(vocabulary.tokens())
    alone = [token.decode(errors="replace") for token in tokens]
    rows = [b"".join(rng.choices(tokens, k=rng.randint(2, 8))).decode(errors="replace") for _ in range(2000)]
    return [*HARD_TEXTS, *alone, *rows, *profile_texts(n_bytes, rng)]


def profile_texts(n_bytes: int, rng: random.Random) -> list[str]:
    """`n_bytes` or more of the built-in profile's held-out pre-tokens, each text some hundred of one part."""
    parts = [part.held_out for part in builtin_profile(SplitPattern(CL100K_REGEX)).parts]
    known = [(part.pretokens(), part.counts.tolist()) for part in parts if part.n_pretokens]
    texts: list[str] = []
    left = n_bytes
    while left > 0:
        for pretokens, counts in known:
            raw = b"".join(rng.choices(pretokens, counts, k=400))
            texts.append(raw.decode(errors="replace"))
            left -= len(raw)
    return texts
