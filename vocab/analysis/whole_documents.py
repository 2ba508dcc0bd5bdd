"""Tokens of whole documents, for tokenizers of which no split pattern is known. Documents are read once for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.analysis.evaluation import Compression, total
from vocab.corpus.batch import Batch
from vocab.corpus.counting import are_held_out
from vocab.corpus.document_corpus import DocumentCorpus, DocumentPart, OnBlock
from vocab.corpus.mixture import whole_weights
from vocab.errors import CorpusError
from vocab.measured import MeasuredTokenizer


@dataclass(frozen=True)
class PartBytes:
    """Bytes of the text of one part of a corpus, before anything is done to it.

    Attributes:
        train: bytes of documents that are not held out.
        held_out: bytes of those that are.
        weight: of the part.
    """

    train: int
    held_out: int
    weight: int


@dataclass(frozen=True)
class DocumentFigures:
    """What was found in whole documents.

    Attributes:
        compressions: (train, held out) of each tokenizer, each part times its weight.
        parts: bytes of the parts.
    """

    compressions: list[tuple[Compression, Compression]]
    parts: list[PartBytes]


def measure_documents(
    tokenizers: Sequence[MeasuredTokenizer], corpus: DocumentCorpus, n_threads: int = 1, on_block: OnBlock | None = None
) -> DocumentFigures:
    """Measure tokenizers, or none, on documents; raises CorpusError for a part without text.

    Memory: about a megabyte of documents, or the longest one, and its tokens.
    """
    sums = [_measure_part(tokenizers, part, n_threads, on_block) for part in corpus.parts]
    weights = whole_weights([int(n_bytes[0]) for n_bytes, _ in sums], [part.share for part in corpus.parts])
    parts = [
        PartBytes(int(n_bytes[0]), int(n_bytes[1]), weight) for (n_bytes, _), weight in zip(sums, weights, strict=True)
    ]
    compressions = [
        (
            total([Compression(p.train, *s[0, k].tolist()) for p, (_, s) in zip(parts, sums, strict=True)], weights),
            total([Compression(p.held_out, *s[1, k].tolist()) for p, (_, s) in zip(parts, sums, strict=True)], weights),
        )
        for k in range(len(tokenizers))
    ]
    return DocumentFigures(compressions, parts)


def _measure_part(
    tokenizers: Sequence[MeasuredTokenizer], part: DocumentPart, n_threads: int, on_block: OnBlock | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Bytes, int64[2], and (tokens, unknown) by tokenizer, int64[2, n_tokenizers, 2]; 0 is trained on, 1 held out.

    Where chance held out every document, they are trained on and none is held out, as in `vocab.count`.
    """
    n_bytes = np.zeros(2, dtype=np.int64)
    sums = np.zeros((2, len(tokenizers), 2), dtype=np.int64)
    for batch in part.batches(on_block):
        held_out = are_held_out(batch)
        n_bytes += _by_side(np.diff(batch.starts), held_out)
        for k, tokenizer in enumerate(tokenizers):
            sums[:, k] += _counted(tokenizer, batch, held_out, n_threads)
    if not n_bytes.any():
        raise CorpusError(part.options.skipped.nothing_to_count(part.name, part.options.column))
    return (n_bytes, sums) if n_bytes[0] else (n_bytes[::-1], sums[::-1])


def _counted(
    tokenizer: MeasuredTokenizer, batch: Batch, held_out: npt.NDArray[np.bool_], n_threads: int
) -> npt.NDArray[np.int64]:
    """Sums of (tokens, unknown) by side, int64[2, 2]."""
    sizes, unknown = tokenizer.count_pretokens(batch.text, batch.starts, n_threads)
    return np.stack([_by_side(sizes, held_out), _by_side(unknown, held_out)], axis=1)


def _by_side(values: npt.NDArray[np.integer], held_out: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Sums over documents that are not held out and over those that are, int64[2]."""
    return np.array([values[~held_out].sum(dtype=np.int64), values[held_out].sum(dtype=np.int64)])
