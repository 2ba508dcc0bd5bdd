"""`MergedCounts`: several count tables as one list of distinct pre-tokens, from which any of them can be added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints
from vocab.errors import CorpusError
from vocab.pretokens.counts import PretokenCounts
from vocab.pretokens.sorted_rows import Rows, merge_rows


@dataclass(frozen=True, eq=False)
class MergedCounts:
    """Distinct pre-tokens of several count tables, in byte order.

    Attributes:
        blob: pre-tokens end to end, uint8.
        starts: where each begins, int64[n_pretokens + 1].
        tables: the tables.
        entries: for each table, which of these pre-tokens each of its rows is, int64[n_rows].
    """

    blob: npt.NDArray[np.uint8]
    starts: Ints
    tables: tuple[PretokenCounts, ...]
    entries: tuple[Ints, ...]

    @classmethod
    def of(cls, tables: Sequence[PretokenCounts], n_threads: int = 1) -> MergedCounts:
        """Merge count tables; raises CorpusError on mixed split patterns."""
        if len({counts.pattern_sha256 for counts in tables}) > 1:
            raise CorpusError("counts of different split patterns cannot be added: count the corpus again with one")
        rows = [Rows(t.blob, t.starts, np.empty((t.n_pretokens, 0), dtype=np.uint64)) for t in tables]
        whole, entries = merge_rows(rows, n_threads)
        return cls(whole.blob, whole.starts, tuple(tables), tuple(entries))

    def total(self, chosen: range, weights: Sequence[int]) -> PretokenCounts:
        """The sum of chosen tables, given by their places, each times its weight.

        Documents are counted without weights, and only when every chosen table has them.
        """
        pairs = [(self.tables[k], weight) for k, weight in zip(chosen, weights, strict=True)]
        has_documents = all(table.document_counts is not None for table, _ in pairs)
        is_there = np.zeros(self.starts.size - 1, dtype=np.bool_)
        counts, documents = np.zeros((2, is_there.size), dtype=np.uint64)
        for k, (table, weight) in zip(chosen, pairs, strict=True):
            entries = self.entries[k]  # distinct within a table
            is_there[entries] = True
            counts[entries] += table.counts * np.uint64(weight)
            if has_documents and table.document_counts is not None:
                documents[entries] += table.document_counts
        lengths = np.diff(self.starts)
        return PretokenCounts(
            self.blob[np.repeat(is_there, lengths)],
            np.concatenate([[0], np.cumsum(lengths[is_there])]),
            counts[is_there],
            self.tables[0].pattern_sha256,
            documents[is_there] if has_documents else None,
            sum(table.n_added * weight for table, weight in pairs),
            sum(table.n_added_bytes * weight for table, weight in pairs),
        )
