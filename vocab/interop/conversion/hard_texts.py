"""Texts to try encoders with: texts that broke some before, every token of a vocabulary, and real pre-tokens."""

from __future__ import annotations

import random

from vocab.corpus.profile import builtin_profile
from vocab.splitting import CL100K_REGEX, SplitPattern
from vocab.vocabulary import Vocabulary

HARD_TEXTS = [
    "",
    " ",
    "\n",
    "\x00",
    "\x00\x01\x7f\x80\x85\xa0",
    "\ufeffbyte order mark",
    "\ufffd\ufffe\uffff\U0010ffff",
    "\r\n\r\n \r\r\n\t\n  ",
    "   before and after   ",
    "line \n\n\n  indented\n\t\ttabs\r\nmixed \t \n",
    "'s 'S 'ſ 'LL 'Ll 'RE 'Ve ''s '' ' 't'm'd x'sy X'LLy",
    "don't DON'T we'll WE'LLs I'ſ '\u017f'\u017f",
    "123456789 1 12 123 1234 ½½½½ 一二三 ١٢٣٤٥ x1y22z333 $1,234.56",
    "camelCaseHTTPServer ǅabc ABCdef ʰABC AʰBʰ a\u0301B\u0301 \u0301\u0301",
    "path/to//file/// http://x.y/z?q=1&r=%20#/ \n/// //\n\n//",
    "1\u0301 \u200b\u200d a\u200db \U0001f469\u200d\U0001f4bb",
    "\u3000\u3000全角\u3000\u2003em\u2028line\u2029para\u0085next",
    "_" * 300 + "=" * 200 + "\n" * 50,
    "ab" * 500 + " " + "abc" * 333,
    "a b\u00a0c\u1680d\u180ee\u2000f\u200bg\u202fh\u205fi\u3000j",
    "\U00010400\U00010428 \U0001d7d8\U0001d7d9 \U00020000\U0002a6d6 \U000e0001\U0010fffd",
    "👩‍👩‍👧‍👦 🏳️‍🌈 🇪🇺 ⟦x⟧ → ∀∂∈ℝ∧∪≡∞ ﷽",
    *(" " * n + "x" + "\t" * n for n in range(1, 40)),
]


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
