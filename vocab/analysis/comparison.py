"""Several tokenizers on one corpus: what `vocab eval` shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vocab.analysis.evaluation import Compression, total
from vocab.analysis.whole_documents import DocumentFigures, PartBytes, measure_documents
from vocab.corpus.counting import CorpusCounts
from vocab.corpus.document_corpus import DocumentCorpus, OnBlock
from vocab.errors import CorpusError
from vocab.measured import MeasuredTokenizer
from vocab.pretokens.counts import PretokenCounts
from vocab.splitting import CL100K_REGEX, SplitPattern

_TEXT = "text"  # the kind of patterns that change nothing


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One tokenizer on a corpus.

    Attributes:
        tokenizer: the tokenizer.
        train: documents that are not held out.
        held_out: documents that are.
        is_text_changed: whether bytes are those of the text as the tokenizer changes it, since those before are not
            known.
    """

    tokenizer: MeasuredTokenizer
    train: Compression
    held_out: Compression
    is_text_changed: bool = False


def compare(
    tokenizers: Sequence[MeasuredTokenizer],
    count: Callable[[SplitPattern], CorpusCounts],
    n_threads: int = 1,
    *,
    corpus: DocumentCorpus | None = None,
    on_block: OnBlock | None = None,
) -> list[Measured]:
    """Measure several tokenizers on one corpus, each with its own inference method.

    The corpus is counted once for each distinct split pattern. `corpus` is read once more, whole documents, for all
    tokenizers without a pattern (`vocab.formats.RuntimeTokenizer`). SentencePiece puts a space before each document, so
    its bytes are compared among its own patterns. For all others bytes are those of the text itself, even where a
    tokenizer changes it: they come from a pattern that changes nothing, or from `corpus`. With neither, they are those
    of the changed text.

    Args:
        tokenizers: what `vocab.load` or `vocab.formats.measured` gives; at least one.
        count: gives the corpus, counted by a split pattern.
        n_threads: threads to use; the result is the same for any number.
        corpus: the same corpus, for tokenizers without a pattern and for bytes before text is changed.
        on_block: called after each block of documents that is read for these.

    Returns:
        One Measured for each tokenizer, in their order.

    Raises:
        CorpusError: `count` does not give the same corpus each time, or a tokenizer without a pattern has no `corpus`.
    """
    patterns = [tokenizer.pattern for tokenizer in tokenizers]
    documents = _read_documents(tokenizers, corpus, n_threads, on_block)
    counted = {pattern.sha256: count(pattern) for pattern in _distinct(patterns)}
    found = [(_kind_of_text(pattern), _bytes_of(counted[pattern.sha256])) for pattern in _distinct(patterns)]
    found += [(_TEXT, documents.parts)] if documents else []
    is_told = any(kind == _TEXT for kind, _ in found)
    if any(map(_changes_text, patterns)) and not is_told and all(c.is_builtin for c in counted.values()):
        found.append((_TEXT, _bytes_of(count(SplitPattern(CL100K_REGEX)))))  # the profile was counted with it
    _check_unchanged(found)
    text = next((parts for kind, parts in found if kind == _TEXT), None)
    of_documents = iter(documents.compressions if documents else [])
    measured = []
    for tokenizer, pattern in zip(tokenizers, patterns, strict=True):
        sides = _measure(tokenizer, counted[pattern.sha256], text, n_threads) if pattern else next(of_documents)
        is_changed = text is None and _changes_text(pattern)
        measured.append(Measured(tokenizer=tokenizer, train=sides[0], held_out=sides[1], is_text_changed=is_changed))
    return measured


def _changes_text(pattern: SplitPattern | None) -> bool:
    """Whether counts by a pattern are of another text than the corpus, SentencePiece's spaces aside."""
    return bool(pattern and pattern.steps and pattern.steps.changes_text)


def _kind_of_text(pattern: SplitPattern) -> str:
    """Patterns of one kind count the same bytes of one corpus."""
    if _changes_text(pattern):
        return pattern.sha256
    return f"SentencePiece, prefix {pattern.has_dummy_prefix}" if pattern.is_sentencepiece else _TEXT


def _distinct(patterns: Sequence[SplitPattern | None]) -> list[SplitPattern]:
    return list({pattern.sha256: pattern for pattern in patterns if pattern}.values())


def _read_documents(
    tokenizers: Sequence[MeasuredTokenizer], corpus: DocumentCorpus | None, n_threads: int, on_block: OnBlock | None
) -> DocumentFigures | None:
    """Measure those without a pattern; with no one to tell the bytes of the text, find these alone."""
    whole = [tokenizer for tokenizer in tokenizers if tokenizer.pattern is None]
    if whole and corpus is None:
        raise CorpusError(
            f"{whole[0].name} is given whole documents, which the built-in profile and count tables do not hold: "
            "name a `corpus`"
        )
    patterns = [tokenizer.pattern for tokenizer in tokenizers]
    is_told = any(pattern and _kind_of_text(pattern) == _TEXT for pattern in patterns)
    if corpus and (whole or (any(map(_changes_text, patterns)) and not is_told)):
        return measure_documents(whole, corpus, n_threads, on_block)
    return None


def _bytes_of(corpus: CorpusCounts) -> list[PartBytes]:
    return [PartBytes(part.train.n_bytes, part.held_out.n_bytes, part.weight) for part in corpus.parts]


def _check_unchanged(found: Sequence[tuple[str, list[PartBytes]]]) -> None:
    """Raise CorpusError unless all of one kind have the same bytes."""
    totals = {
        (kind, sum(p.train * p.weight for p in parts), sum(p.held_out * p.weight for p in parts))
        for kind, parts in found
    }
    if len(totals) > len({kind for kind, *_ in totals}):
        raise CorpusError("the corpus changed while it was read for the different tokenizers: count it again")


def _measure(
    tokenizer: MeasuredTokenizer, corpus: CorpusCounts, text: list[PartBytes] | None, n_threads: int
) -> tuple[Compression, Compression]:
    """(train, held out); bytes and weights are those of `text` where the pattern changes it."""
    own = _bytes_of(corpus)
    parts = text if text and len(text) == len(own) and _changes_text(tokenizer.pattern) else own
    weights = [part.weight for part in parts]
    train = [_compression(tokenizer, p.train, b.train, n_threads) for p, b in zip(corpus.parts, parts, strict=True)]
    held_out = [
        _compression(tokenizer, p.held_out, b.held_out, n_threads) for p, b in zip(corpus.parts, parts, strict=True)
    ]
    return total(train, weights), total(held_out, weights)


def _compression(tokenizer: MeasuredTokenizer, counts: PretokenCounts, n_bytes: int, n_threads: int) -> Compression:
    rows = counts.without_added()
    times = rows.counts.astype(np.int64)
    sizes, unknown = tokenizer.count_pretokens(rows.blob, rows.starts, n_threads)
    n_unknown = int((times * unknown).sum())
    return Compression(n_bytes, int((times * sizes).sum()) + rows.n_added, n_unknown, None if n_unknown else 0)
