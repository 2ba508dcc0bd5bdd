"""Several tokenizers on one corpus: what `vocab eval` shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vocab.analysis.evaluation import Compression, total
from vocab.corpus.counting import CorpusCounts
from vocab.errors import CorpusError
from vocab.pretokens.counts import PretokenCounts
from vocab.splitting import SplitPattern
from vocab.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One tokenizer on a corpus: its documents that are not held out, and those that are."""

    vocabulary: Vocabulary
    train: Compression
    held_out: Compression


def compare(
    vocabularies: Sequence[Vocabulary],
    count: Callable[[SplitPattern], CorpusCounts],
    n_threads: int = 1,
) -> list[Measured]:
    """Tokens of each vocabulary under its own inference method; `count` gives the corpus for a split pattern.

    A corpus is counted once for each distinct pattern. Raises CorpusError when it is not the same corpus each time;
    for SentencePiece, which puts a space before each document, bytes are compared among its own patterns. For WordPiece
    bytes are those of the text before it is normalized.
    """
    counted: dict[str, CorpusCounts] = {}
    measured = []
    for vocabulary in vocabularies:
        key = vocabulary.pattern.sha256
        if key not in counted:
            counted[key] = count(vocabulary.pattern)
        measured.append(_measure(vocabulary, counted[key], n_threads))
    kinds = {(m.vocabulary.pattern.is_sentencepiece, m.vocabulary.pattern.has_dummy_prefix) for m in measured}
    if len({(m.train.n_bytes, m.held_out.n_bytes) for m in measured}) > len(kinds):
        raise CorpusError("the corpus changed while it was read for the different tokenizers: count it again")
    return measured


def _measure(vocabulary: Vocabulary, corpus: CorpusCounts, n_threads: int) -> Measured:
    sides = [
        total([_compression(vocabulary, counts, n_threads) for counts in tables], [p.weight for p in corpus.parts])
        for tables in ([p.train for p in corpus.parts], [p.held_out for p in corpus.parts])
    ]
    return Measured(vocabulary=vocabulary, train=sides[0], held_out=sides[1])


def _compression(vocabulary: Vocabulary, counts: PretokenCounts, n_threads: int) -> Compression:
    times = counts.counts.astype(np.int64)
    sizes, unknown = vocabulary.count_pretokens(counts.blob, counts.starts, n_threads)
    return Compression(counts.n_bytes, int((times * sizes).sum()), int((times * unknown).sum()))
