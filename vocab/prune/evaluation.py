"""What vocabularies make of a counted corpus: tokens on each part of it, trained on and held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.corpus.counting import CorpusCounts
from vocab.corpus.counts import PretokenCounts
from vocab.encoding import inference
from vocab.encoding.encoder import METHOD_CODES, InferenceMethod
from vocab.encoding.lattice import Lattice, TokenTrie
from vocab.splitting.table import PretokenTable
from vocab.threads import run_shards, shard_bounds


@dataclass(frozen=True)
class Compression:
    """Tokens that some text becomes."""

    n_bytes: int
    n_tokens: int

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text a token stands for; 0 where there is no text."""
        return self.n_bytes / self.n_tokens if self.n_tokens else 0.0


def total(parts: Sequence[Compression], weights: Sequence[int]) -> Compression:
    """Bytes and tokens of several texts together, each times its weight."""
    pairs = list(zip(parts, weights, strict=True))
    return Compression(sum(p.n_bytes * w for p, w in pairs), sum(p.n_tokens * w for p, w in pairs))


@dataclass(frozen=True)
class Evaluation:
    """One vocabulary on one corpus. Figures of parts are plain; in the totals each part counts with its weight."""

    train: Compression
    held_out: Compression
    parts: dict[str, tuple[Compression, Compression]]  # name: (train, held out)
    uses: npt.NDArray[np.int64]  # of each token on weighted training text, int64[n_tokens]
    is_used: npt.NDArray[np.bool_]  # whether a token occurs at all, held-out text included, bool[n_tokens]


@dataclass(frozen=True)
class _Rows:
    """A count table as rows of the table of all distinct pre-tokens."""

    entries: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]
    n_bytes: int


class Evaluator:
    """Counts tokens for any subset of a vocabulary's tokens; pre-tokens of all parts are encoded once.

    Whole pre-tokens are encoded, however long they are, so figures are exact. Memory: the lattice of all distinct
    pre-tokens (`Lattice`).
    """

    def __init__(self, trie: TokenTrie, corpus: CorpusCounts, n_threads: int = 1) -> None:
        table = PretokenTable()
        self._parts = {part.name: (_rows(table, part.train), _rows(table, part.held_out)) for part in corpus.parts}
        self._weights = [part.weight for part in corpus.parts]
        self._starts = table.starts.copy()
        self._lattice = Lattice.build(trie, table.blob, self._starts, n_threads)
        self._shards = shard_bounds(self._starts, n_threads)

    def evaluate(self, alive: npt.NDArray[np.bool_], method: InferenceMethod) -> Evaluation:
        """Tokens when only the tokens marked in `alive` (bool[n_tokens], all single bytes among them) exist."""
        ids = np.zeros(int(self._starts[-1]), dtype=np.int32)
        sizes = np.zeros(self._starts.size - 1, dtype=np.int32)
        code = METHOD_CODES[method]
        run_shards(lambda a, b: inference.encode_all(code, self._lattice, alive, a, b, ids, sizes), self._shards)
        parts = {name: (_compression(a, sizes), _compression(b, sizes)) for name, (a, b) in self._parts.items()}
        uses, is_used = self._uses(ids, sizes, alive.size)
        return Evaluation(
            train=total([train for train, _ in parts.values()], self._weights),
            held_out=total([held_out for _, held_out in parts.values()], self._weights),
            parts=parts,
            uses=uses,
            is_used=is_used,
        )

    def _uses(
        self, ids: npt.NDArray[np.int32], sizes: npt.NDArray[np.int32], n_tokens: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        counts = np.zeros(sizes.size, dtype=np.int64)
        for (train, _), weight in zip(self._parts.values(), self._weights, strict=True):
            counts[train.entries] += train.counts * weight
        uses = np.zeros(n_tokens, dtype=np.int64)
        inference.count_uses(self._starts, ids, sizes, counts, uses)
        occurrences = np.zeros(n_tokens, dtype=np.int64)
        inference.count_uses(self._starts, ids, sizes, np.ones(sizes.size, dtype=np.int64), occurrences)
        return uses, occurrences > 0


def _rows(table: PretokenTable, counts: PretokenCounts) -> _Rows:
    # The table is asked for the rows only; what it counts is not used.
    entries = table.add(counts.blob, counts.starts[1:])
    return _Rows(entries, counts.counts.astype(np.int64), counts.n_bytes)


def _compression(rows: _Rows, sizes: npt.NDArray[np.int32]) -> Compression:
    return Compression(rows.n_bytes, int((rows.counts * sizes[rows.entries]).sum()))
