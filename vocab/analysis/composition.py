"""The composition of a vocabulary: its size, and its tokens by length, script and shape."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass

import numpy as np

from vocab.encoding.closed_merges import parts_of_tokens, unmade
from vocab.measured import MeasuredTokenizer
from vocab.sizes import SizeFacts, size_facts
from vocab.vocabulary import Vocabulary

# First words of letters' names that name no script.
_SCRIPTS = {"CJK": "CJK", "FEMININE": "Latin", "MASCULINE": "Latin", "MICRO": "Greek", "FULLWIDTH": "Latin"}


@dataclass(frozen=True, kw_only=True)
class Composition:
    """The composition of a vocabulary. All but `size` and `n_special` is about ordinary tokens.

    Attributes:
        size: arithmetic of the number of ids.
        n_special: special tokens.
        n_single_bytes: tokens of one byte.
        n_partial_characters: tokens of two bytes or more that are not UTF-8 by themselves.
        n_with_leading_space: tokens that begin with a space and hold more than white space.
        n_whitespace_only: tokens of white space alone.
        lengths: number of tokens by length in bytes, shortest first.
        scripts: number of tokens by the script of their first letter, or by `kind_of` without one, largest first.
        n_unmade: tokens of two bytes or more that no merge of two tokens of lower rank makes; 0 where the vocabulary is
            closed, None where it does not go by merges of ranks.
    """

    size: SizeFacts
    n_special: int
    n_single_bytes: int
    n_partial_characters: int
    n_with_leading_space: int
    n_whitespace_only: int
    lengths: dict[int, int]
    scripts: dict[str, int]
    n_unmade: int | None = None

    @property
    def mean_bytes(self) -> float:
        """Mean length of the ordinary tokens in bytes."""
        n = sum(self.lengths.values())
        return sum(length * k for length, k in self.lengths.items()) / n if n else 0.0


def inspect(tokenizer: MeasuredTokenizer) -> Composition:
    """Count the tokens of a vocabulary by length, script and shape.

    Args:
        tokenizer: what `vocab.load` or `vocab.formats.measured` gives.

    Returns:
        The figures that `vocab inspect` shows.

    Raises:
        SourceError: the tokenizer does not give the bytes of its tokens.
    """
    tokens = list(tokenizer.tokens())
    kinds = Counter(kind_of(token) for token in tokens)
    return Composition(
        size=size_facts(tokenizer.n_ids),
        n_special=len(tokenizer.special_tokens),
        n_single_bytes=sum(len(token) == 1 for token in tokens),
        n_partial_characters=sum(len(token) > 1 and _text(token) is None for token in tokens),
        n_with_leading_space=sum(token.startswith(b" ") and bool(token.strip()) for token in tokens),
        n_whitespace_only=sum(not token.strip() for token in tokens),
        lengths=dict(sorted(Counter(map(len, tokens)).items())),
        scripts=dict(kinds.most_common()),
        n_unmade=_n_unmade(tokenizer) if isinstance(tokenizer, Vocabulary) else None,
    )


def _n_unmade(vocabulary: Vocabulary) -> int | None:
    if vocabulary.inference != "merges":
        return None
    return int(np.count_nonzero(unmade(parts_of_tokens(vocabulary.encoder.trie), vocabulary.lengths)))


def _text(token: bytes) -> str | None:
    try:
        return token.decode()
    except UnicodeDecodeError:
        return None


def kind_of(token: bytes) -> str:
    """The script of the token's first letter ("Latin", "Cyrillic", "CJK" …), or its kind of content without letters.

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
