"""Several tokenizers on one corpus: what `vocab eval` shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vocab.analysis.evaluation import Compression, total
from vocab.corpus.counting import CorpusCounts
from vocab.errors import CorpusError
from vocab.measured import MeasuredTokenizer
from vocab.pretokens.counts import PretokenCounts
from vocab.splitting import SplitPattern


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One tokenizer on a corpus.

    Attributes:
        tokenizer: the tokenizer.
        train: documents that are not held out.
        held_out: documents that are.
    """

    tokenizer: MeasuredTokenizer
    train: Compression
    held_out: Compression


def compare(
    tokenizers: Sequence[MeasuredTokenizer],
    count: Callable[[SplitPattern], CorpusCounts],
    n_threads: int = 1,
) -> list[Measured]:
    """Measure several tokenizers on one corpus, each with its own inference method.

    The corpus is counted once for each distinct split pattern. SentencePiece puts a space before each document, so its
    bytes are compared among its own patterns. Bytes for WordPiece are those of the text before it is normalized.

    Args:
        tokenizers: what `vocab.load` gives; at least one.
        count: gives the corpus, counted by a split pattern.
        n_threads: threads to use; the result is the same for any number.

    Returns:
        One Measured for each tokenizer, in their order.

    Raises:
        CorpusError: `count` does not give the same corpus each time.
    """
    counted: dict[str, CorpusCounts] = {}
    measured = []
    for tokenizer in tokenizers:
        key = tokenizer.pattern.sha256
        if key not in counted:
            counted[key] = count(tokenizer.pattern)
        measured.append(_measure(tokenizer, counted[key], n_threads))
    kinds = {(m.tokenizer.pattern.is_sentencepiece, m.tokenizer.pattern.has_dummy_prefix) for m in measured}
    if len({(m.train.n_bytes, m.held_out.n_bytes) for m in measured}) > len(kinds):
        raise CorpusError("the corpus changed while it was read for the different tokenizers: count it again")
    return measured


def _measure(tokenizer: MeasuredTokenizer, corpus: CorpusCounts, n_threads: int) -> Measured:
    sides = [
        total([_compression(tokenizer, counts, n_threads) for counts in tables], [p.weight for p in corpus.parts])
        for tables in ([p.train for p in corpus.parts], [p.held_out for p in corpus.parts])
    ]
    return Measured(tokenizer=tokenizer, train=sides[0], held_out=sides[1])


def _compression(tokenizer: MeasuredTokenizer, counts: PretokenCounts, n_threads: int) -> Compression:
    times = counts.counts.astype(np.int64)
    sizes, unknown = tokenizer.count_pretokens(counts.blob, counts.starts, n_threads)
    return Compression(counts.n_bytes, int((times * sizes).sum()), int((times * unknown).sum()))
