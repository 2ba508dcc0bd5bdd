"""The text that a bound is of, where a vocabulary has an unknown token for all else.

Pruning keeps every character of the candidates. So the same pre-tokens hold unknown text whatever else is chosen, and
the bound is of all others: their tokens spell them.
"""

from __future__ import annotations

import itertools

import numpy as np

from vocab.arrays import Mask
from vocab.pretokens.counts import PretokenCounts
from vocab.vocabulary import Vocabulary


def known_text(candidates: Vocabulary, counts: PretokenCounts, n_threads: int) -> PretokenCounts:
    """The pre-tokens without unknown text; all of them where a vocabulary has no unknown token."""
    if candidates.n_stand_ins != 1:
        return counts
    encoder = candidates.encoder
    ids, sizes = encoder.encode_pretokens(counts.blob, counts.starts, n_threads)
    unknown = encoder.count_unknown(ids, sizes, counts.starts) > 0
    return counts.chosen(~(unknown | _holding(counts, next(candidates.tokens()))))


def _holding(counts: PretokenCounts, text: bytes) -> Mask:
    """Which pre-tokens hold the text of the unknown token, which some runtimes look up."""
    holds = np.zeros(counts.n_pretokens, dtype=np.bool_)
    raw = counts.blob.tobytes()
    if text in raw:
        edges = itertools.pairwise(counts.starts.tolist())
        holds[:] = [text in raw[a:b] for a, b in edges]
    return holds
