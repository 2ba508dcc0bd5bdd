"""`PretokenCounts`: distinct pre-tokens with how often each occurs, the only form in which a corpus is scored."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.errors import CorpusError
from vocab.splitting.table import PretokenTable


@dataclass(frozen=True, eq=False)
class PretokenCounts:
    """Distinct pre-tokens in byte order with their counts; they fit only the split pattern they were made with.

    Attributes:
        blob: pre-tokens end to end, uint8.
        starts: where each begins, int64[n_pretokens + 1].
        counts: occurrences, uint64[n_pretokens].
        pattern_sha256: digest of the split pattern (`SplitPattern.sha256`).
        document_counts: documents that hold each, uint64[n_pretokens]; None where that was not counted.
    """

    blob: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    counts: npt.NDArray[np.uint64]
    pattern_sha256: str
    document_counts: npt.NDArray[np.uint64] | None = None

    @classmethod
    def from_mapping(cls, counts: Mapping[bytes, int], pattern_sha256: str) -> PretokenCounts:
        """Counts from a dictionary; raises OverflowError for a count that is negative or above 2⁶⁴ - 1."""
        pretokens = sorted(counts)
        starts = np.zeros(len(pretokens) + 1, dtype=np.int64)
        np.cumsum([len(p) for p in pretokens], out=starts[1:])
        values = np.array([counts[p] for p in pretokens], dtype=np.uint64)
        return cls(np.frombuffer(b"".join(pretokens), dtype=np.uint8), starts, values, pattern_sha256)

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
        """Bytes of corpus text behind the counts."""
        return int((self.counts * np.diff(self.starts).astype(np.uint64)).sum())

    def pretokens(self) -> list[bytes]:
        """The distinct pre-tokens as bytes, in order."""
        blob, starts = self.blob.tobytes(), self.starts.tolist()
        return [blob[a:b] for a, b in itertools.pairwise(starts)]


def merge(tables: Sequence[PretokenCounts], weights: Iterable[int] | None = None) -> PretokenCounts:
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
    table = PretokenTable()
    for counts, weight in zip(tables, factors, strict=True):
        documents = counts.document_counts
        if documents is None:
            documents = np.zeros(counts.n_pretokens, dtype=np.uint64)
        table.add_counts(counts.blob, counts.starts, counts.counts * np.uint64(weight), documents)
    have_documents = all(counts.document_counts is not None for counts in tables)
    return PretokenCounts.from_table(table, tables[0].pattern_sha256, with_documents=have_documents)


def from_tables(tables: Sequence[PretokenTable], pattern_sha256: str) -> PretokenCounts:
    """The sum of several threads' tables, with documents; each thread adds up and sorts one range of the bytes."""
    if len(tables) == 1:
        return PretokenCounts.from_table(tables[0], pattern_sha256, with_documents=True)
    heads = [_first_two_bytes(table) for table in tables]
    cuts = _even_cuts(heads, len(tables))
    parts = [[(head >= low) & (head < high) for head in heads] for low, high in itertools.pairwise(cuts)]
    with ThreadPoolExecutor(len(parts)) as pool:
        sums = list(pool.map(lambda chosen: _sum_of_chosen(tables, chosen, pattern_sha256), parts))
    return _end_to_end(sums)


def _first_two_bytes(table: PretokenTable) -> npt.NDArray[np.int64]:
    """Numbers in the order of the bytes, so that equal pre-tokens have equal ones."""
    first = table.starts[:-1]
    has_second = table.starts[1:] - first > 1
    head = table.blob[first].astype(np.int64) * 257
    head[has_second] += table.blob[first[has_second] + 1].astype(np.int64) + 1
    return head


def _even_cuts(heads: Sequence[npt.NDArray[np.int64]], n_parts: int) -> list[int]:
    """Edges of n_parts ranges of heads that hold about equally many entries."""
    totals = np.cumsum(sum(np.bincount(head, minlength=256 * 257) for head in heads))
    cuts = np.searchsorted(totals, [totals[-1] * k // n_parts for k in range(1, n_parts)]) + 1
    return [0, *cuts.tolist(), 256 * 257]


def _sum_of_chosen(
    tables: Sequence[PretokenTable], chosen: Sequence[npt.NDArray[np.bool_]], pattern_sha256: str
) -> PretokenCounts:
    whole = PretokenTable()
    for table, mask in zip(tables, chosen, strict=True):
        lengths = np.diff(table.starts)
        starts = np.concatenate([[0], np.cumsum(lengths[mask])])
        whole.add_counts(table.blob[np.repeat(mask, lengths)], starts, table.counts[mask], table.n_documents[mask])
    return PretokenCounts.from_table(whole, pattern_sha256, with_documents=True)


def _end_to_end(parts: Sequence[PretokenCounts]) -> PretokenCounts:
    """Counts whose ranges of pre-tokens follow one another."""
    before = np.cumsum([0] + [part.blob.size for part in parts])
    starts = [part.starts[:-1] + n for part, n in zip(parts, before[:-1], strict=True)]
    return PretokenCounts(
        np.concatenate([part.blob for part in parts]),
        np.concatenate([*starts, before[-1:]]),
        np.concatenate([part.counts for part in parts]),
        parts[0].pattern_sha256,
        np.concatenate([part.document_counts for part in parts if part.document_counts is not None]),
    )
