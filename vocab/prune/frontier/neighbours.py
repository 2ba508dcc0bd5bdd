"""What sizes around a target cost on a corpus: one pruning order read at every one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vocab.analysis.evaluation import Compression, Evaluator
from vocab.choices import InferenceMethod
from vocab.corpus.counting import CorpusCounts
from vocab.encoding.encoder import CHARACTER_METHODS, LOOKS_AHEAD
from vocab.prune.candidates.prior import with_prior
from vocab.prune.frontier.drop_order import distilled_along
from vocab.prune.methods.pricing import PriceBook
from vocab.prune.request import check_corpus, check_request
from vocab.vocabulary import Vocabulary

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class SizeOnCorpus:
    """One size of a source's vocabulary on a corpus: documents to choose tokens by, and those held out."""

    n_ids: int
    train: Compression
    held_out: Compression


def along_sizes(
    source: Vocabulary,
    sizes: Sequence[int],
    corpus: CorpusCounts,
    *,
    inference: InferenceMethod = "merges",
    n_threads: int = 1,
    on_progress: Progress | None = None,
) -> dict[int, SizeOnCorpus]:
    """Tokens that the corpus needs at each of the sizes (ids, special tokens included), by size.

    The source is distilled to the largest of them, and from there tokens only go: each vocabulary holds the next
    smaller one, so that differences between sizes are those of one order. Sizes above the source's have no entry.

    `on_progress` hears (stage, done, all). Raises TargetError when a size is below what is always kept, CorpusError
    when the corpus was counted with another split pattern. A SentencePiece source has only its own inference method.
    """
    inference = source.inference if source.inference in CHARACTER_METHODS else inference
    hear = on_progress or (lambda stage, done, total: None)
    check_corpus(source, corpus)
    wanted = sorted({size for size in sizes if size <= source.n_ids}, reverse=True)
    if smaller := [size for size in wanted if size < source.n_ids]:
        check_request(source, smaller[-1])
    hear("price tokens", 0, 1)
    trie, protected = source.encoder.trie, source.lengths == 1
    evaluator = Evaluator(trie, corpus, n_threads, keep_whole=inference in LOOKS_AHEAD)
    evidence = with_prior(corpus.train, source, corpus.prior)
    book = PriceBook(trie, evidence.counts, inference, n_threads)
    found = {}
    hear("drop tokens", 0, len(wanted))
    numbers = [size - len(source.special_tokens) for size in wanted]
    for size, alive in zip(wanted, distilled_along(book, numbers, protected), strict=True):
        train, held_out = evaluator.compression(alive, inference)
        found[size] = SizeOnCorpus(n_ids=size, train=train, held_out=held_out)
        hear("drop tokens", len(found), len(wanted))
    return found
