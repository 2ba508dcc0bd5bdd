"""Documents of one part of a corpus, all or so many bytes of them in the order of a hash."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from vocab.arrays import Mask
from vocab.choices import Side
from vocab.corpus.batch import Batch
from vocab.corpus.counting import are_held_out
from vocab.corpus.document_corpus import DocumentPart
from vocab.corpus.held_documents import sample_keys
from vocab.number_words import number_of

_NEAR = 0.05  # a sample that misses its size by this share is as it should be


def sampled_documents(part: DocumentPart, most_bytes: int | None = None, side: Side | None = None) -> Iterator[str]:
    """Documents of a part of a corpus, one after the other.

    Args:
        part: where they are read from.
        most_bytes: None for all, in the order of the corpus. Else documents in the order of a hash of their text, which
            depends on nothing else, until the next one would be too many bytes; but one at least. These are held.
        side: only those to train on, or those that every count and training holds out; None for both.

    Raises:
        CorpusError: the corpus cannot be read.
    """
    batches = (_of_side(batch, side) for batch in part.batches())
    if most_bytes is None:
        return itertools.chain.from_iterable(_texts(batch) for batch in batches)
    keyed = [
        (key, text)
        for batch, chosen in batches
        for key, text in zip(sample_keys(batch)[chosen], _texts((batch, chosen)), strict=True)
    ]
    keyed.sort(key=lambda pair: pair[0])
    sizes = np.cumsum([len(text.encode()) for _, text in keyed])
    n = max(1, int(np.searchsorted(sizes, most_bytes, side="right")))
    return (text for _, text in keyed[:n])


def sample_notes(name: str, n_bytes: int, most_bytes: int | None) -> list[str]:
    """A sentence where a sample of a part has much less or more text than was asked for."""
    if most_bytes is None or abs(n_bytes - most_bytes) <= most_bytes * _NEAR:
        return []
    why = "documents are taken whole" if n_bytes > most_bytes else "there is no more, or the next document is too long"
    return [f"{name}: {number_of(n_bytes, 'byte')} are taken of the {most_bytes:,} asked for, because {why}."]


def _of_side(batch: Batch, side: Side | None) -> tuple[Batch, Mask]:
    held_out = are_held_out(batch)
    return batch, np.ones_like(held_out) if side is None else held_out if side == "held_out" else ~held_out


def _texts(chosen: tuple[Batch, Mask]) -> list[str]:
    batch, taken = chosen
    return list(itertools.compress(batch.documents(), taken))
