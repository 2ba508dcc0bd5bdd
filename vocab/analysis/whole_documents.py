"""Tokens of whole documents, for tokenizers of which no split pattern is known. Documents are read once for all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vocab.analysis.evaluation import Compression, total
from vocab.corpus.batch import Batch
from vocab.corpus.counting import are_held_out
from vocab.corpus.document_corpus import DocumentCorpus, DocumentPart, OnBlock
from vocab.corpus.mixture import whole_weights
from vocab.errors import CorpusError
from vocab.measured import MeasuredTokenizer

# Tokens of one part, for each tokenizer: of documents that are not held out, and of those that are.
_Sides = tuple[list[Compression], list[Compression]]


def measure_documents(
    tokenizers: Sequence[MeasuredTokenizer], corpus: DocumentCorpus, n_threads: int = 1, on_block: OnBlock | None = None
) -> list[tuple[Compression, Compression]]:
    """(train, held out) of each tokenizer, each part times its weight; raises CorpusError for a part without text.

    Memory: about a megabyte of documents, or the longest one, and its tokens.
    """
    parts = [_measure_part(tokenizers, part, n_threads, on_block) for part in corpus.parts]
    weights = whole_weights([train[0].n_bytes for train, _ in parts], [part.share for part in corpus.parts])
    return [
        (total([train[k] for train, _ in parts], weights), total([held_out[k] for _, held_out in parts], weights))
        for k in range(len(tokenizers))
    ]


def _measure_part(
    tokenizers: Sequence[MeasuredTokenizer], part: DocumentPart, n_threads: int, on_block: OnBlock | None
) -> _Sides:
    """Where chance held out every document, they are trained on and none is held out, as in `vocab.count`."""
    n_bytes = np.zeros(2, dtype=np.int64)
    sums = np.zeros((2, len(tokenizers), 2), dtype=np.int64)  # held out, tokenizer, (tokens, unknown)
    for batch in part.batches(on_block):
        held_out = are_held_out(batch)
        n_bytes += _by_side(np.diff(batch.starts), held_out)
        for k, tokenizer in enumerate(tokenizers):
            sums[:, k] += _counted(tokenizer, batch, held_out, n_threads)
    order = (0, 1) if n_bytes[0] else (1, 0)
    if not n_bytes[order[0]]:
        raise CorpusError(part.options.skipped.nothing_to_count(part.name, part.options.column))
    train, held = ([Compression(int(n_bytes[side]), *row) for row in sums[side].tolist()] for side in order)
    return train, held


def _counted(
    tokenizer: MeasuredTokenizer, batch: Batch, held_out: npt.NDArray[np.bool_], n_threads: int
) -> npt.NDArray[np.int64]:
    """Sums of (tokens, unknown) by side, int64[2, 2]."""
    sizes, unknown = tokenizer.count_pretokens(batch.text, batch.starts, n_threads)
    return np.stack([_by_side(sizes, held_out), _by_side(unknown, held_out)], axis=1)


def _by_side(values: npt.NDArray[np.integer], held_out: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Sums over documents that are not held out and over those that are, int64[2]."""
    return np.array([values[~held_out].sum(dtype=np.int64), values[held_out].sum(dtype=np.int64)])
