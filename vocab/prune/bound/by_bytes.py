"""Candidates by their bytes alone, which is all that the bound knows of them.

SentencePiece has byte pieces for characters without a piece, and characters below 128 as pieces besides. Both are the
same string of bytes. Every choice keeps the byte pieces. So one that repeats another piece leaves the tokens of any
text and the choice of the others as they are, and is left out on both sides. So is an unknown token, which spells
nothing; single bytes that then have no token are put in, on both sides too. No shortest path needs one, since every
character is kept.

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
        vocabulary: the strings as tokens; the candidates themselves where all these are other strings.
        numbers: which string each candidate is, int64[n_candidates]; -1 for the unknown token.
        n_repeated: how many candidates, byte pieces all, repeat the bytes of another one.
        n_put_in: how many strings, single bytes all, are no candidates; they come last.
    """

    vocabulary: Vocabulary
    numbers: Ints
    n_repeated: int = 0
    n_put_in: int = 0

    @classmethod
    def of(cls, candidates: Vocabulary) -> ByBytes:
        """The strings of candidates, the first of which may be bytes or the unknown token that stand in for others."""
        if not candidates.n_stand_ins:
            return cls(candidates, np.arange(candidates.n_tokens))
        is_left_out = _is_left_out(candidates)
        tokens = [token for token, is_so in zip(candidates.tokens(), is_left_out.tolist(), strict=True) if not is_so]
        bytes_put_in = [] if candidates.byte_fallback else sorted({bytes([k]) for k in range(256)} - set(tokens))
        numbers = np.cumsum(~is_left_out) - 1
        place = {token: number for number, token in enumerate(tokens)}
        for rank in np.flatnonzero(is_left_out).tolist():
            numbers[rank] = place.get(
                candidates.blob[candidates.starts[rank] : candidates.starts[rank + 1]].tobytes(), -1
            )
        vocabulary = Vocabulary.from_tokens(
            [*tokens, *bytes_put_in], candidates.pattern, inference="least-tokens", provenance=candidates.provenance
        )
        n_repeated = int(np.count_nonzero(is_left_out)) if candidates.byte_fallback else 0
        return cls(vocabulary, numbers, n_repeated, len(bytes_put_in))

    @property
    def n_more(self) -> int:
        """How many more of them than of the candidates a choice keeps; below 0 for fewer."""
        return self.vocabulary.n_tokens - self.numbers.size

    def numbers_of(self, candidates: Ints) -> Ints:
        """The strings of some candidates by number, in their order, each once, and then those put in, int64."""
        found = dict.fromkeys(self.numbers[candidates].tolist())
        found.pop(-1, None)
        n_strings = self.vocabulary.n_tokens
        return np.array([*found, *range(n_strings - self.n_put_in, n_strings)], dtype=np.int64)

    def mask(self, candidates: Mask) -> Mask:
        """The same for bool[n_candidates], as bool[n_strings]."""
        strings = np.zeros(self.vocabulary.n_tokens, dtype=np.bool_)
        strings[self.numbers_of(np.flatnonzero(candidates))] = True
        return strings


def _is_left_out(candidates: Vocabulary) -> Mask:
    """Which candidates are the unknown token, or byte pieces of the bytes of another one, bool[n_candidates]."""
    is_left_out = np.zeros(candidates.n_tokens, dtype=np.bool_)
    trie = candidates.encoder.trie
    for rank in range(candidates.n_stand_ins):
        byte = int(candidates.blob[candidates.starts[rank]])
        is_left_out[rank] = not candidates.byte_fallback or trie.byte_token(byte) >= 0
    return is_left_out
