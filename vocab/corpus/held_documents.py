"""`HeldDocuments`: documents in memory, all or a sample of them, which can be counted again and again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vocab.arrays import Mask
from vocab.corpus.batch import Batch
from vocab.corpus.blocks import Block, Position
from vocab.corpus.counting import (
    HELD_OUT_ONE_IN,
    CorpusCounts,
    are_held_out,
    count_blocks,
    document_hashes,
)
from vocab.corpus.document_corpus import DocumentCorpus, OnBlock
from vocab.corpus.mixture import mixed
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.skipped import Skipped
from vocab.errors import CorpusError
from vocab.splitting.splits import Splits

# Bytes of documents that are held by default.
MOST_BYTES = 200_000_000
# Samples go by the last bits of keys.
_N_KEYS = 2**32


@dataclass(frozen=True)
class _HeldBlock(Block):
    """A block of documents that were read already."""

    documents: Batch

    def batch(self, options: ReadOptions) -> Batch:
        return self.documents  # what was left out of them is known since they were read


@dataclass(frozen=True)
class HeldPart:
    """Documents of one named part of a corpus, in memory.

    Attributes:
        name: of the part.
        batches: its documents, about 1 MB in each.
        skipped: what reading left out.
        share: its share of the bytes; None to add the part up with the others as it is.
    """

    name: str
    batches: Sequence[Batch]
    skipped: Skipped
    share: float | None = None

    def training_batches(self) -> Iterator[Batch]:
        """The documents that are not held out; all of them where chance held out every one."""
        trained = [_chosen(batch, ~are_held_out(batch)) for batch in self.batches]
        yield from trained if any(batch.n_documents for batch in trained) else self.batches


@dataclass(frozen=True)
class HeldDocuments:
    """Documents in memory: all of a corpus, or a share of them by hash.

    Attributes:
        parts: the parts of the corpus.
        n_bytes: bytes of the documents held.
        n_bytes_read: bytes of all documents.
        sampled: share of the documents that is held, 1 for all. It depends on the documents and on the most bytes.
    """

    parts: tuple[HeldPart, ...]
    n_bytes: int
    n_bytes_read: int
    sampled: float

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for reports."""
        if self.sampled == 1:
            return ()
        return (
            f"The text is a sample: {self.sampled:.3g} of the documents by hash, {self.n_bytes / 1e6:,.1f} MB of "
            f"{self.n_bytes_read / 1e6:,.1f} MB.",
        )

    def count(self, pattern: Splits, n_threads: int = 1) -> CorpusCounts:
        """Count the pieces into which a pattern cuts the documents; as `vocab.count` does for files."""
        parts = []
        for part in self.parts:
            blocks = [_HeldBlock(Position(), 0, batch) for batch in part.batches]
            options = ReadOptions(skipped=part.skipped)
            parts.append(count_blocks(blocks, part.name, pattern, options, n_threads))
        return replace(mixed(parts, [part.share for part in self.parts]), notes=self.notes)


def hold_documents(
    inputs: str | Path | Iterable[str | Path] | DocumentCorpus,
    *,
    options: ReadOptions | None = None,
    shares: Sequence[float | None] | None = None,
    most_bytes: int = MOST_BYTES,
    on_block: OnBlock | None = None,
) -> HeldDocuments:
    """Read documents into memory; of more than `most_bytes` bytes a sample by hash, the same on any machine.

    Args:
        inputs: what `vocab.count` takes, each a part; or a `DocumentCorpus`.
        options: how they are read.
        shares: each part's share of the bytes; None to add parts up.
        most_bytes: bytes of documents to hold at most.
        on_block: is called after each block with the bytes of files on disk and those of text that were read.

    Raises:
        CorpusError: a corpus cannot be read or is named twice, or no document is small enough.
    """
    corpus = inputs if isinstance(inputs, DocumentCorpus) else DocumentCorpus(inputs, options=options, shares=shares)
    sample = _Sample(most_bytes)
    for number, part in enumerate(corpus.parts):
        for batch in part.batches(on_block):
            sample.add(number, batch)
    if sample.n_bytes_read and not sample.n_bytes:
        raise CorpusError(
            f"no sample of {most_bytes / 1e6:,.0f} MB can be held: the documents are too large; "
            "cut them into smaller ones"
        )
    held = [
        HeldPart(part.name, sample.batches_of(number), part.options.skipped, part.share)
        for number, part in enumerate(corpus.parts)
    ]
    return HeldDocuments(tuple(held), sample.n_bytes, sample.n_bytes_read, sample.share)


class _Sample:
    """Documents by part; where they become too many, those with the highest keys go, an eighth or less at a time.

    Samples of fixed shares lie within one another, so the last one does not depend on the order of documents.
    """

    def __init__(self, most_bytes: int) -> None:
        self.share, self.n_bytes, self.n_bytes_read = 1.0, 0, 0
        self._most_bytes = most_bytes
        self._held: list[tuple[int, Batch]] = []

    def add(self, part: int, batch: Batch) -> None:
        """Take a batch of a part, or those of its documents that are in the sample."""
        self.n_bytes_read += batch.n_bytes_read
        chosen = self._in_sample(batch)
        self._held.append((part, chosen))
        self.n_bytes += chosen.text.size
        while self.n_bytes > self._most_bytes:
            self.share = _next_share(self.share)
            self._held = [(number, self._in_sample(held)) for number, held in self._held]
            self.n_bytes = sum(held.text.size for _, held in self._held)

    def batches_of(self, part: int) -> list[Batch]:
        """The batches of a part."""
        return [batch for number, batch in self._held if number == part]

    def _in_sample(self, batch: Batch) -> Batch:
        if self.share == 1:
            return batch
        return _chosen(batch, sample_keys(batch) % np.uint64(_N_KEYS) < self.share * _N_KEYS)


def _next_share(share: float) -> float:
    """The next of 1, 7/8, 6/8, 5/8, 4/8, 7/16, 6/16, 5/16, 4/16 and so on."""
    mantissa, exponent = math.frexp(share)
    return share - math.ldexp(1 / 8, exponent - (mantissa == 0.5))


def sample_keys(batch: Batch) -> npt.NDArray[np.uint64]:
    """Keys that samples go by, uint64[n_documents]: independent of whether a document is held out."""
    keys: npt.NDArray[np.uint64] = document_hashes(batch) // np.uint64(HELD_OUT_ONE_IN)
    return keys


def _chosen(batch: Batch, chosen: Mask) -> Batch:
    """The chosen documents (bool[n_documents]) of a batch."""
    if chosen.all():
        return batch
    lengths = np.diff(batch.starts)
    starts = np.concatenate([[0], np.cumsum(lengths[chosen])])
    text = batch.text[np.repeat(chosen, lengths)]
    return replace(batch, text=text, starts=starts, n_bytes_read=int(text.size))
