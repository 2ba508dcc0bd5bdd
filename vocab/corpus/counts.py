"""`PretokenCounts`: distinct pre-tokens with how often each occurs, the only form in which a corpus is scored."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vocab.errors import CorpusError

if TYPE_CHECKING:
    from vocab.splitting.table import PretokenTable


@dataclass(frozen=True, eq=False)
class PretokenCounts:
    """Distinct pre-tokens in byte order with their counts; they fit only the split pattern they were made with.

    Attributes:
        blob: pre-tokens end to end, uint8.
        starts: where each begins, int64[n_pretokens + 1].
        counts: occurrences, uint64[n_pretokens].
        pattern_sha256: digest of the split pattern (`SplitPattern.sha256`).
    """

    blob: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    counts: npt.NDArray[np.uint64]
    pattern_sha256: str

    @classmethod
    def from_mapping(cls, counts: Mapping[bytes, int], pattern_sha256: str) -> PretokenCounts:
        """Counts from a dictionary; raises OverflowError for a count that is negative or above 2⁶⁴ - 1."""
        pretokens = sorted(counts)
        starts = np.zeros(len(pretokens) + 1, dtype=np.int64)
        np.cumsum([len(p) for p in pretokens], out=starts[1:])
        values = np.array([counts[p] for p in pretokens], dtype=np.uint64)
        return cls(np.frombuffer(b"".join(pretokens), dtype=np.uint8), starts, values, pattern_sha256)

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
    """Sum of count tables, each times its weight (default 1); associative. Raises CorpusError on mixed patterns."""
    from vocab.splitting.table import PretokenTable

    if not tables:
        raise ValueError("there are no count tables to add")
    if len({table.pattern_sha256 for table in tables}) > 1:
        raise CorpusError("counts of different split patterns cannot be added: count the corpus again with one")
    table = PretokenTable()
    for counts, weight in zip(tables, weights or [1] * len(tables), strict=True):
        table.add(counts.blob, counts.starts[1:], counts.counts * np.uint64(weight))
    return from_table(table, tables[0].pattern_sha256)


def from_table(table: PretokenTable, pattern_sha256: str) -> PretokenCounts:
    """Counts of a hash table in byte order, whatever the order in which it was filled."""
    unordered = PretokenCounts(table.blob, table.starts, table.counts, pattern_sha256)
    pretokens = unordered.pretokens()
    order = np.array(sorted(range(len(pretokens)), key=pretokens.__getitem__), dtype=np.int64)
    lengths = np.diff(table.starts)[order]
    starts = np.zeros(order.size + 1, dtype=np.int64)
    np.cumsum(lengths, out=starts[1:])
    blob = np.frombuffer(b"".join([pretokens[k] for k in order.tolist()]), dtype=np.uint8)
    return PretokenCounts(blob, starts, table.counts[order], pattern_sha256)
