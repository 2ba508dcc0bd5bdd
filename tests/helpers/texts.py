"""Texts and tokens to try vocabularies with: scripts, texts that broke tokenizers, and random ones."""

import random

from vocab.hard_texts import HARD_TEXTS
from vocab.vocabulary import Vocabulary

NASTY = [
    *HARD_TEXTS,
    "   trailing   ",
    "'s 'S 'ſ 'LL 'Ll 'lL 'RE 'Ve ''s '' ' 't'm'd x'sy X'LLy 'K 'ß 'ﬀ",
    "don't DON'T we'll WE'LLs I'ſ I'ſa '\u017f \u017f's '\u017f'\u017f",
    "camelCaseHTTPServer ǅabc ABCdef ʰABC AʰBʰ ʰ a\u0301B\u0301 \u0301\u0301 \u0301a A\u0301",
    "e\u0301 \u0301 1\u0301 \u200b\u200d a\u200db \U0001f469\u200d\U0001f4bb",
    "<|endoftext|> <|fim_prefix|>",
    "ab" * 5000 + " " + "abc" * 3333,
    "\U00010400\U00010428 \U0001d7d8\U0001d7d9\U0001d7da\U0001d7db \U00020000\U0002a6d6 \U000e0001\U0010fffd",
]

RUNS = [" " * n + "x" for n in range(70)] + ["x" + " " * n for n in range(70)]
ODD = [*RUNS, "a▁b", "▁", "▁▁ ▁", "x[REFERENCE_DOC_1]y", "[REFERENCE_DOC_1] y", "é\n" * 300, "語" * 5000, "=" * 9999]


def random_tokens(rng: random.Random, alphabet: bytes, n: int, longest: int) -> list[bytes]:
    """The 256 single bytes and up to n distinct random strings, their ranks mixed."""
    found = {bytes(rng.choices(alphabet, k=rng.randint(2, longest))) for _ in range(n)}
    tokens = [bytes([b]) for b in range(256)] + sorted(found)
    rng.shuffle(tokens)
    return tokens


def drawn_texts(vocabulary: Vocabulary, n: int) -> list[str]:
    rng = random.Random(4)
    tokens = list(vocabulary.tokens())
    joined = (b"".join(rng.choices(tokens, k=rng.randint(1, 8))) for _ in range(n))
    return [text.decode(errors="replace") for text in joined]


def plain(vocabulary: Vocabulary, texts: list[str]) -> list[str]:
    """Texts without control tokens, which tokenizers recognises in every text."""
    control = [text for text in vocabulary.special_tokens if text not in vocabulary.user_defined]
    return [text for text in texts if not any(special in text for special in control)]
