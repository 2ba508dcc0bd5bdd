"""Tokens of a corpus at sizes around a target, from one pruning order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vocab.analysis.evaluation import Compression, Evaluator
from vocab.choices import CHARACTER_METHODS, InferenceMethod
from vocab.corpus.counting import CorpusCounts
from vocab.corpus.spelt_counts import spelt_without
from vocab.encoding.encoder import LOOKS_AHEAD
from vocab.progress import OnProgress, silent
from vocab.prune.candidates.prior import with_prior
from vocab.prune.frontier.drop_order import distilled_at
from vocab.prune.methods.pricing import PriceBook
from vocab.prune.request import PruneRequest, check_corpus
from vocab.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class MeasuredSize:
    """One size of a source's vocabulary on a corpus.

    Attributes:
        n_ids: the size in ids, special tokens included.
        train: tokens of the documents that tokens were chosen by.
        held_out: tokens of the documents held out.
    """

    n_ids: int
    train: Compression
    held_out: Compression


def measure_sizes(
    source: Vocabulary,
    sizes: Sequence[int],
    corpus: CorpusCounts,
    *,
    inference: InferenceMethod = "merges",
    n_threads: int = 1,
    on_progress: OnProgress | None = None,
) -> dict[int, MeasuredSize]:
    """Measure a vocabulary on a corpus at several sizes.

    The source is distilled to the largest size. From there tokens are only dropped, so each vocabulary holds the next
    smaller one, and differences between sizes are those of one order.

    Args:
        source: the vocabulary to prune.
        sizes: ids, special tokens included, in any order.
        corpus: the counted text.
        inference: how text is cut into tokens; a SentencePiece source has only its own.
        n_threads: threads; the result does not depend on how many.
        on_progress: is called with a stage's name, how much of it is done, and how much there is.

    Returns:
        Measurements by size; sizes above the source's are left out.

    Raises:
        TargetError: a size is below the number of tokens that are always kept.
        CorpusError: the corpus was counted with another split pattern.
    """
    inference = source.inference if source.inference in CHARACTER_METHODS else inference
    report = on_progress or silent
    falling = sorted({size for size in sizes if size <= source.n_ids}, reverse=True)
    _check(source, corpus, falling)
    corpus = spelt_without(corpus, source.encoder.lacking, source.name)
    report("price tokens", 0, 1)
    trie, protected = source.encoder.trie, source.lengths == 1
    evaluator = Evaluator(trie, corpus, n_threads, keep_whole=inference in LOOKS_AHEAD)
    book = PriceBook(trie, with_prior(corpus.train, source, corpus.prior).counts, inference, n_threads)
    measured: dict[int, MeasuredSize] = {}
    report("drop tokens", 0, len(falling))
    numbers = [size - len(source.special_tokens) for size in falling]
    for size, kept in zip(falling, distilled_at(book, numbers, protected), strict=True):
        train, held_out = evaluator.compression(kept, inference)
        measured[size] = MeasuredSize(n_ids=size, train=train, held_out=held_out)
        report("drop tokens", len(measured), len(falling))
    return measured


def _check(source: Vocabulary, corpus: CorpusCounts, falling: Sequence[int]) -> None:
    """Refuse the least size, or a corpus, as a pruning would."""
    check_corpus(source, corpus)
    if falling and falling[-1] < source.n_ids:
        PruneRequest(source=source, target=falling[-1])
