"""Several tokenizers on one corpus: what `vocab eval` shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vocab.analysis.evaluation import Compression, total
from vocab.analysis.whole_documents import measure_documents
from vocab.corpus.counting import CorpusCounts
from vocab.corpus.document_corpus import DocumentCorpus, OnBlock
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
    *,
    corpus: DocumentCorpus | None = None,
    on_block: OnBlock | None = None,
) -> list[Measured]:
    """Measure several tokenizers on one corpus, each with its own inference method.

    The corpus is counted once for each distinct split pattern. It is read once more, whole documents, for all
    tokenizers without a pattern (`vocab.formats.RuntimeTokenizer`). SentencePiece puts a space before each document, so
    its bytes are compared among its own patterns. Bytes are those of the text before a tokenizer normalizes it.

    Args:
        tokenizers: what `vocab.load` or `vocab.formats.measured` gives; at least one.
        count: gives the corpus, counted by a split pattern.
        n_threads: threads to use; the result is the same for any number.
        corpus: the same corpus, for tokenizers without a pattern.
        on_block: called after each block of documents that is read for these.

    Returns:
        One Measured for each tokenizer, in their order.

    Raises:
        CorpusError: `count` does not give the same corpus each time, or a tokenizer without a pattern has no `corpus`.
    """
    compressions: dict[int, tuple[Compression, Compression]] = {}
    if whole := [k for k, tokenizer in enumerate(tokenizers) if tokenizer.pattern is None]:
        if corpus is None:
            raise CorpusError(
                f"{tokenizers[whole[0]].name} is given whole documents, which the built-in profile and count tables "
                "do not hold: name a `corpus`"
            )
        found = measure_documents([tokenizers[k] for k in whole], corpus, n_threads, on_block)
        compressions |= dict(zip(whole, found, strict=True))
    counted: dict[str, CorpusCounts] = {}
    for k, tokenizer in enumerate(tokenizers):
        if pattern := tokenizer.pattern:
            if pattern.sha256 not in counted:
                counted[pattern.sha256] = count(pattern)
            compressions[k] = _measure(tokenizer, counted[pattern.sha256], n_threads)
    measured = [
        Measured(tokenizer=tokenizer, train=compressions[k][0], held_out=compressions[k][1])
        for k, tokenizer in enumerate(tokenizers)
    ]
    _check_unchanged(measured)
    return measured


def _check_unchanged(measured: Sequence[Measured]) -> None:
    patterns = [m.tokenizer.pattern for m in measured]
    kinds = {(p.is_sentencepiece, p.has_dummy_prefix) if p else (False, False) for p in patterns}
    if len({(m.train.n_bytes, m.held_out.n_bytes) for m in measured}) > len(kinds):
        raise CorpusError("the corpus changed while it was read for the different tokenizers: count it again")


def _measure(tokenizer: MeasuredTokenizer, corpus: CorpusCounts, n_threads: int) -> tuple[Compression, Compression]:
    train, held_out = (
        total([_compression(tokenizer, counts, n_threads) for counts in tables], [p.weight for p in corpus.parts])
        for tables in ([p.train for p in corpus.parts], [p.held_out for p in corpus.parts])
    )
    return train, held_out


def _compression(tokenizer: MeasuredTokenizer, counts: PretokenCounts, n_threads: int) -> Compression:
    times = counts.counts.astype(np.int64)
    sizes, unknown = tokenizer.count_pretokens(counts.blob, counts.starts, n_threads)
    return Compression(counts.n_bytes, int((times * sizes).sum()), int((times * unknown).sum()))
