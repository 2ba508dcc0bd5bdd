"""Candidates by their bytes alone, which is all that the bound knows of them.

SentencePiece has byte pieces for characters without a piece, and characters below 128 as pieces besides. Both are the
same string of bytes. Every choice keeps the byte pieces. So one that repeats another piece leaves the tokens of any
text and the choice of the others as they are, and is left out on both sides.

Whatever the inference method, the tokens of a text spell its bytes one after the other. So it needs no fewer of them
than the shortest path over these strings. That a byte piece stands only for a character without a piece, and that some
pieces cannot be merged, can only need more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vocab.arrays import Ints, Mask
from vocab.vocabulary import Vocabulary


@dataclass(frozen=True)
class ByBytes:
    """Candidates as strings of bytes, each once.

    Attributes:
        vocabulary: the strings as tokens; the candidates themselves where none repeats another.
        numbers: which string each candidate is, int64[n_candidates].
    """

    vocabulary: Vocabulary
    numbers: Ints

    @classmethod
    def of(cls, candidates: Vocabulary) -> ByBytes:
        """The strings of candidates whose bytes, if any, stand in for characters without a token."""
        if not candidates.byte_fallback:
            return cls(candidates, np.arange(candidates.n_tokens))
        is_repeated = _is_repeated(candidates)
        tokens = [token for token, is_so in zip(candidates.tokens(), is_repeated.tolist(), strict=True) if not is_so]
        vocabulary = Vocabulary.from_tokens(
            tokens, candidates.pattern, inference="least-tokens", provenance=candidates.provenance
        )
        numbers = np.cumsum(~is_repeated) - 1
        for rank in np.flatnonzero(is_repeated).tolist():
            byte = int(candidates.blob[candidates.starts[rank]])
            numbers[rank] = numbers[candidates.encoder.trie.byte_token(byte)]
        return cls(vocabulary, numbers)

    @property
    def n_repeated(self) -> int:
        """How many candidates, byte pieces all, repeat the bytes of another one."""
        return self.numbers.size - self.vocabulary.n_tokens

    def mask(self, candidates: Mask) -> Mask:
        """The strings of some candidates (bool[n_candidates]), bool[n_strings]."""
        strings = np.zeros(self.vocabulary.n_tokens, dtype=np.bool_)
        strings[self.numbers[candidates]] = True
        return strings


def _is_repeated(candidates: Vocabulary) -> Mask:
    """Which byte pieces are the bytes of another candidate too, bool[n_candidates]."""
    is_repeated = np.zeros(candidates.n_tokens, dtype=np.bool_)
    trie = candidates.encoder.trie
    for rank in range(candidates.n_stand_ins):
        is_repeated[rank] = trie.byte_token(int(candidates.blob[candidates.starts[rank]])) >= 0
    return is_repeated
