"""How well a source's tokens fit a text: what BPE trained on the text itself would save."""

from __future__ import annotations

import numpy as np

from vocab.analysis import compare
from vocab.choices import CHARACTER_METHODS
from vocab.corpus.counting import CorpusCounts, CorpusPart
from vocab.corpus.tally import Tally
from vocab.interop.scratch.bpe_trainer import N_BYTES, train_bpe
from vocab.pretokens.counts import PretokenCounts
from vocab.vocabulary import Vocabulary

# Distinct pre-tokens that are trained on: nine tenths of most texts, in less than a second.
MOST_PRETOKENS = 100_000


def saved_from_scratch(pruned: Vocabulary, corpus: CorpusCounts, n_threads: int = 1) -> float | None:
    """The share of a vocabulary's tokens that byte-level BPE of as many tokens, trained on the text, would save.

    Both are measured on the training text's 100,000 most frequent pre-tokens, which BPE is trained on. So the share is
    a little too large for rare words.

    Args:
        pruned: a vocabulary whose tokens go from bytes.
        corpus: the text, counted by its pattern.
        n_threads: threads to measure with.

    Returns:
        The share; below 0 where BPE needs more tokens. None for a vocabulary of characters, and where the text is
        too small for BPE of that size.
    """
    if pruned.inference in CHARACTER_METHODS or pruned.n_tokens < N_BYTES:
        return None
    counts = _most_frequent(corpus.without_added().train)
    tokens = train_bpe(counts, pruned.n_tokens).tokens
    if len(tokens) < pruned.n_tokens:
        return None
    trained = Vocabulary.from_tokens(tokens, pruned.pattern)
    none = counts.chosen(np.zeros(counts.n_pretokens, dtype=np.bool_))
    text = CorpusCounts((CorpusPart("most frequent", counts, none, Tally()),))
    ours, theirs = (one.train.n_tokens for one in compare([pruned, trained], lambda _: text, n_threads))
    return 1 - theirs / ours


def _most_frequent(counts: PretokenCounts) -> PretokenCounts:
    """The most frequent pre-tokens; of equal counts those that come first."""
    stays = np.zeros(counts.n_pretokens, dtype=np.bool_)
    stays[np.argsort(-counts.counts.astype(np.int64), kind="stable")[:MOST_PRETOKENS]] = True
    return counts.chosen(stays)
