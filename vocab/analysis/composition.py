"""What a vocabulary is made of, and how two vocabularies differ."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass

from vocab.sizes import SizeFacts, size_facts
from vocab.vocabulary import Vocabulary

# First words of letters' names that name no script.
_SCRIPTS = {"CJK": "CJK", "FEMININE": "Latin", "MASCULINE": "Latin", "MICRO": "Greek", "FULLWIDTH": "Latin"}


@dataclass(frozen=True, kw_only=True)
class Makeup:
    """The make-up of a vocabulary's ordinary tokens."""

    size: SizeFacts
    n_special: int
    n_single_bytes: int
    n_partial_characters: int  # tokens of two bytes or more that are not UTF-8 by themselves
    n_with_leading_space: int
    n_whitespace_only: int
    lengths: dict[int, int]  # bytes: tokens
    scripts: dict[str, int]  # script of the first letter, or what the token is made of: tokens

    @property
    def mean_bytes(self) -> float:
        """Mean length of the ordinary tokens in bytes."""
        n = sum(self.lengths.values())
        return sum(length * k for length, k in self.lengths.items()) / n if n else 0.0


def makeup(vocabulary: Vocabulary) -> Makeup:
    """Count the tokens of a vocabulary by length, script and shape."""
    tokens = list(vocabulary.tokens())
    kinds = Counter(kind_of(token) for token in tokens)
    return Makeup(
        size=size_facts(vocabulary.n_ids),
        n_special=len(vocabulary.special_tokens),
        n_single_bytes=sum(len(token) == 1 for token in tokens),
        n_partial_characters=sum(len(token) > 1 and _text(token) is None for token in tokens),
        n_with_leading_space=sum(token.startswith(b" ") and bool(token.strip()) for token in tokens),
        n_whitespace_only=sum(not token.strip() for token in tokens),
        lengths=dict(sorted(Counter(map(len, tokens)).items())),
        scripts=dict(kinds.most_common()),
    )


def _text(token: bytes) -> str | None:
    try:
        return token.decode()
    except UnicodeDecodeError:
        return None


def kind_of(token: bytes) -> str:
    """The script of the token's first letter ("Latin", "Cyrillic", "CJK" …), or what it is made of without letters.

    A script is the first word of the letter's Unicode name, which Unicode keeps stable.
    """
    text = _text(token)
    if text is None:
        return "part of a character"
    letter = next((c for c in text if c.isalpha()), None)
    if letter is not None:
        name = unicodedata.name(letter, "other").split()[0].split("-")[0]
        return _SCRIPTS.get(name, name.capitalize())
    if any(c.isdigit() for c in text):
        return "digits"
    return "symbols" if text.strip() else "white space"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How two vocabularies differ; tokens in id order of the vocabulary that has them."""

    n_shared: int
    only_first: list[bytes]
    only_second: list[bytes]
    n_moved: int  # shared tokens whose id differs
    special_only_first: list[str]
    special_only_second: list[str]
    same_pattern: bool
    same_inference: bool


def difference(first: Vocabulary, second: Vocabulary) -> Difference:
    """Compare tokens, special tokens, split pattern and inference method."""
    a, b = first.token_ids, second.token_ids
    shared = a.keys() & b.keys()
    return Difference(
        n_shared=len(shared),
        only_first=[token for token in a if token not in b],
        only_second=[token for token in b if token not in a],
        n_moved=sum(a[token] != b[token] for token in shared),
        special_only_first=[text for text in first.special_tokens if text not in second.special_tokens],
        special_only_second=[text for text in second.special_tokens if text not in first.special_tokens],
        same_pattern=(first.pattern.sha256, first.preparation) == (second.pattern.sha256, second.preparation),
        same_inference=first.inference == second.inference,
    )
