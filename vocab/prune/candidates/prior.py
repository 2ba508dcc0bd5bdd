"""The prior: a pseudo-corpus in which each token of the source occurs by itself, as often as its rank suggests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints, Mask, end_to_end
from vocab.pretokens.counts import PretokenCounts, merge
from vocab.pretokens.table import PretokenTable
from vocab.vocabulary import Vocabulary

# Ranks below this count as equally frequent: there, rank says more of the order of merging than of use.
_FLAT_RANKS = 1_000
# Counts are whole numbers, so real ones are multiplied by this to let pseudo-counts be fractions.
_SCALE = 256


# With candidates of the corpus, the source's rank order is worth this many bytes of text, and at most this share of the
# corpus.
_PRIOR_BYTES = 1_000_000
_MOST_PRIOR = 0.1


def default_prior(n_bytes: int) -> float:
    """The prior for `n_bytes` of training text whose own substrings are candidates.

    The source's tokens come from far more text than most corpora have, so with little text they are the better choice.
    """
    return min(_MOST_PRIOR, _PRIOR_BYTES / max(1, n_bytes))


def says_how_frequent(source: Vocabulary) -> bool:
    """Whether a token's rank can say how frequent it is: not where ranks go by length, as RWKV's do."""
    return bool((np.diff(source.lengths) < 0).any())


@dataclass(frozen=True)
class WeightedCounts:
    """Training counts together with pseudo-counts of the source's tokens, on one scale: what tokens are chosen by.

    Attributes:
        counts: training counts times `scale`, and the pseudo-counts.
        scale: what training counts were multiplied by.
        pseudo: pseudo-count of each token of the source, int64[n_tokens].
    """

    counts: PretokenCounts
    scale: int
    pseudo: Ints


def with_prior(train: PretokenCounts, source: Vocabulary, strength: float) -> WeightedCounts:
    """Add pseudo-counts of every token of the source to training counts.

    Ranks come from a far larger corpus than most that are counted here, so they tell which rare tokens are worth
    keeping. A token of rank r gets a pseudo-count in proportion to 1 / (r + 1000).

    Args:
        train: training counts of the corpus.
        source: the vocabulary to prune.
        strength: pre-tokens of the pseudo-corpus for each pre-token of the corpus; 0.1 adds a tenth, 0 adds nothing.
    """
    if strength <= 0:
        return WeightedCounts(train, 1, np.zeros(source.n_tokens, dtype=np.int64))
    weights = np.where(_may_stand_alone(source), 1.0 / (np.arange(source.n_tokens) + _FLAT_RANKS), 0.0)
    counts = np.rint(weights * (strength * _SCALE * train.n_occurrences / weights.sum())).astype(np.uint64)
    pseudo = _counted(source, counts, train.pattern_sha256)
    return WeightedCounts(merge([train, pseudo], [_SCALE, 1]), _SCALE, counts.astype(np.int64))


def _may_stand_alone(source: Vocabulary) -> Mask:
    """Which tokens count, bool[n_tokens]: under wordpiece none that begins a word and is no word, as [unused1]."""
    counts = np.ones(source.n_tokens, dtype=np.bool_)
    if source.inference != "wordpiece":
        return counts
    tokens = list(source.tokens())
    begins = [rank for rank, token in enumerate(tokens) if token.startswith(b" ")]
    blob, starts = end_to_end([tokens[rank][1:] for rank in begins])
    text, starts = source.pattern.prepared_documents(blob, starts)
    _, firsts = source.pattern.ends_of_documents(text, starts)
    words, edges = text.tobytes(), starts.tolist()
    is_whole = np.diff(firsts) == 1
    for rank, a, b, is_one in zip(begins, edges, edges[1:], is_whole.tolist(), strict=False):
        counts[rank] = is_one and words[a:b] == tokens[rank]
    return counts


def _counted(source: Vocabulary, counts: npt.NDArray[np.uint64], pattern_sha256: str) -> PretokenCounts:
    """The source's tokens as pre-tokens, without those whose count is 0, as it is for most beside very little text."""
    table, some = PretokenTable(), np.flatnonzero(counts)
    lengths = source.lengths[some]
    ends = np.cumsum(lengths)
    places = np.repeat(source.starts[some] - (ends - lengths), lengths) + np.arange(int(lengths.sum()))
    table.add(source.blob[places], ends, counts[some])
    return PretokenCounts.from_table(table, pattern_sha256)
