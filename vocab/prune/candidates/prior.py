"""The source's own rank order as evidence: a pseudo-corpus in which each token occurs by itself, Zipf-like in rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.pretokens.counts import PretokenCounts, merge
from vocab.pretokens.table import PretokenTable
from vocab.vocabulary import Vocabulary

# Ranks below this count as equally frequent: there, rank says more of the order of merging than of use.
_FLAT_RANKS = 1_000
# Counts are whole numbers, so real ones are multiplied by this to let pseudo-counts be fractions.
_SCALE = 256


# Beside candidates of the corpus, the source's rank order is worth as much as so many bytes of text, and at most this
# share of the corpus.
_PRIOR_BYTES = 1_000_000
_MOST_PRIOR = 0.1


def default_prior(n_bytes: int) -> float:
    """The prior for so many bytes of training text whose own substrings are candidates.

    The source's tokens come from far more text than most corpora have, so in little text they are the better bet.
    """
    return min(_MOST_PRIOR, _PRIOR_BYTES / max(1, n_bytes))


@dataclass(frozen=True)
class Evidence:
    """What selection works on: training counts, and pseudo-counts of the source's tokens on the same scale."""

    counts: PretokenCounts  # both together
    scale: int  # what real counts were multiplied by
    pseudo: npt.NDArray[np.int64]  # of each token, int64[n_tokens]


def with_prior(train: PretokenCounts, source: Vocabulary, strength: float) -> Evidence:
    """Training counts with pseudo-counts for every token of the source.

    `strength` is the pseudo-corpus's share against the corpus in pre-tokens: 0.1 adds a tenth. A token of rank r gets
    a part in proportion to 1 / (r + 1000). Ranks come from a far larger corpus than most that are counted here, so
    they tell which rare tokens are worth keeping.
    """
    if strength <= 0:
        return Evidence(train, 1, np.zeros(source.n_tokens, dtype=np.int64))
    weights = 1.0 / (np.arange(source.n_tokens) + _FLAT_RANKS)
    counts = np.rint(weights * (strength * _SCALE * train.n_occurrences / weights.sum())).astype(np.uint64)
    tokens = PretokenTable()
    tokens.add(source.blob, source.starts[1:], counts)
    pseudo = PretokenCounts.from_table(tokens, train.pattern_sha256)
    return Evidence(merge([train, pseudo], [_SCALE, 1]), _SCALE, counts.astype(np.int64))
