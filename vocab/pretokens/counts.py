"""`PretokenCounts`: distinct pre-tokens with how often each occurs, the only form in which a corpus is scored."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vocab.arrays import end_to_end
from vocab.errors import CorpusError
from vocab.markers import marked_rows
from vocab.pretokens.sorted_rows import Rows, sum_rows
from vocab.pretokens.table import PretokenTable


@dataclass(frozen=True, eq=False)
class PretokenCounts:
    """Distinct pre-tokens in byte order with their counts; they fit only the split pattern they were made with.

    Attributes:
        blob: pre-tokens end to end, uint8.
        starts: where each begins, int64[n_pretokens + 1].
        counts: occurrences, uint64[n_pretokens].
        pattern_sha256: digest of the split pattern (`SplitPattern.sha256`).
        document_counts: documents that hold each, uint64[n_pretokens]; None where that was not counted.
        n_added: added tokens in the text beside them, each of which is one token whatever the vocabulary.
        n_added_bytes: bytes of these added tokens.
    """

    blob: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    counts: npt.NDArray[np.uint64]
    pattern_sha256: str
    document_counts: npt.NDArray[np.uint64] | None = None
    n_added: int = 0
    n_added_bytes: int = 0

    @classmethod
    def from_mapping(cls, counts: Mapping[bytes, int], pattern_sha256: str) -> PretokenCounts:
        """Counts from a dictionary; raises OverflowError for a count that is negative or above 2⁶⁴ - 1."""
        pretokens = sorted(counts)
        values = np.array([counts[p] for p in pretokens], dtype=np.uint64)
        return cls(*end_to_end(pretokens), values, pattern_sha256)

    @classmethod
    def from_table(cls, table: PretokenTable, pattern_sha256: str, *, with_documents: bool = False) -> PretokenCounts:
        """Counts of a hash table in byte order, whatever the order in which it was filled."""
        blob, starts, counts, documents = table.sorted_arrays()
        return cls(blob, starts, counts, pattern_sha256, documents if with_documents else None)

    @property
    def n_pretokens(self) -> int:
        """Distinct pre-tokens."""
        return self.counts.size

    @property
    def n_occurrences(self) -> int:
        """Pre-tokens of the corpus, each as often as it occurs."""
        return int(self.counts.sum())

    @property
    def n_bytes(self) -> int:
        """Bytes of corpus text behind the counts, without the markers of added tokens."""
        n_bytes = int((self.counts * np.diff(self.starts).astype(np.uint64)).sum()) + self.n_added_bytes
        return n_bytes - 2 * int(self.counts[marked_rows(self.blob, self.starts)].sum())

    def without_added(self) -> PretokenCounts:
        """The same without the rows of added tokens, which are summed up in `n_added`.

        Their marker is above all bytes of text, so they are the last rows.
        """
        marked = marked_rows(self.blob, self.starts)
        if not marked.size:
            return self
        n = int(marked[0])
        counts, sizes = self.counts[n:], np.diff(self.starts[n:]).astype(np.uint64)
        return replace(
            self,
            blob=self.blob[: self.starts[n]],
            starts=self.starts[: n + 1],
            counts=self.counts[:n],
            document_counts=None if self.document_counts is None else self.document_counts[:n],
            n_added=self.n_added + int(counts.sum()),
            n_added_bytes=self.n_added_bytes + int((counts * sizes).sum()) - 2 * int(counts.sum()),
        )

    def without_bytes(self, lacking: bytes) -> PretokenCounts:
        """The same without the pre-tokens that hold one of these bytes; itself where there are none."""
        is_lacking = np.isin(np.arange(256), list(lacking))[self.blob]
        before = np.concatenate([[0], np.cumsum(is_lacking)])
        stays = np.diff(before[self.starts]) == 0
        return self.chosen(stays)

    def chosen(self, stays: npt.NDArray[np.bool_]) -> PretokenCounts:
        """The same without the pre-tokens that do not stay (bool[n_pretokens]); itself where all do."""
        if stays.all():
            return self
        lengths = np.diff(self.starts)
        return replace(
            self,
            blob=self.blob[np.repeat(stays, lengths)],
            starts=np.concatenate([[0], np.cumsum(lengths[stays])]),
            counts=self.counts[stays],
            document_counts=None if self.document_counts is None else self.document_counts[stays],
        )

    def pretokens(self) -> list[bytes]:
        """The distinct pre-tokens as bytes, in order."""
        blob, starts = self.blob.tobytes(), self.starts.tolist()
        return [blob[a:b] for a, b in itertools.pairwise(starts)]


def merge(tables: Sequence[PretokenCounts], weights: Iterable[int] | None = None, n_threads: int = 1) -> PretokenCounts:
    """Sum of count tables, each times its weight (default 1); associative. Raises CorpusError on mixed patterns.

    Documents are counted without weights, and only when every table has them.
    """
    if not tables:
        raise ValueError("there are no count tables to add")
    if len({counts.pattern_sha256 for counts in tables}) > 1:
        raise CorpusError("counts of different split patterns cannot be added: count the corpus again with one")
    factors = list(weights or [1] * len(tables))
    if len(tables) == 1 and factors == [1]:
        return tables[0]
    rows = [_weighted_rows(counts, weight) for counts, weight in zip(tables, factors, strict=True)]
    whole = sum_rows(rows, n_threads)
    counts, documents = np.ascontiguousarray(whole.values.T)
    have_documents = all(part.document_counts is not None for part in tables)
    return PretokenCounts(
        whole.blob,
        whole.starts,
        counts,
        tables[0].pattern_sha256,
        documents if have_documents else None,
        sum(part.n_added * factor for part, factor in zip(tables, factors, strict=True)),
        sum(part.n_added_bytes * factor for part, factor in zip(tables, factors, strict=True)),
    )


def from_tables(tables: Sequence[PretokenTable], pattern_sha256: str) -> PretokenCounts:
    """The sum of several threads' tables, with documents, by as many threads."""
    if len(tables) == 1:
        return PretokenCounts.from_table(tables[0], pattern_sha256, with_documents=True)
    with ThreadPoolExecutor(len(tables)) as pool:
        parts = list(pool.map(lambda t: PretokenCounts.from_table(t, pattern_sha256, with_documents=True), tables))
    return merge(parts, n_threads=len(tables))


def _weighted_rows(counts: PretokenCounts, weight: int) -> Rows:
    values = np.zeros((counts.n_pretokens, 2), dtype=np.uint64)
    values[:, 0] = counts.counts * np.uint64(weight)
    if counts.document_counts is not None:
        values[:, 1] = counts.document_counts
    return Rows(counts.blob, counts.starts, values)
