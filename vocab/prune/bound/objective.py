"""The objective of pruning as a lattice with counts, and the lower bound that prices of its edges prove.

Choosing K tokens so that the corpus needs the fewest is an integer programme: one path a segment through its lattice,
each edge open only if its token is kept, at most K kept. Give each edge a price λ ≥ 0. A path pays the prices of its
edges; kept tokens refund theirs. However the prices are chosen, no K tokens need fewer than

    Σ shortest path of each segment at (count + λ) an edge  −  the K largest sums of a token's prices

tokens (Lagrangian relaxation; Geoffrion 1974). Tokens that are always kept have no prices and do not count. Since no
inference method needs fewer tokens than the shortest paths, the bound holds for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from vocab.arrays import Mask, frozen
from vocab.encoding.lattice import Lattice, Segments, TokenTrie
from vocab.pretokens.counts import PretokenCounts
from vocab.pretokens.table import PretokenTable
from vocab.prune.bound import dual_kernels
from vocab.threads import shard_bounds

# Prices are whole multiples of 1 / unit token; the unit is made smaller only where sums would not fit into 63 bits.
_FINEST_UNIT = 1024
_MOST = 2**61
# Rounds of lowering and raising prices at the end of a search.
_N_ASCENTS = 3
# Fixed, so that sums of floats do not depend on the number of threads.
_N_SHARDS = 16

T = TypeVar("T")
Shards = list[tuple[int, int]]


class ThreadShards:
    """Threads that are kept for many short passes over fixed shards."""

    def __init__(self, n_threads: int) -> None:
        self._pool = ThreadPoolExecutor(n_threads) if n_threads > 1 else None

    def run(self, work: Callable[[int, int], T], shards: Sequence[tuple[int, int]]) -> list[T]:
        """Call `work(first, last)` for each shard; results in shard order."""
        if self._pool is None:
            return [work(a, b) for a, b in shards]
        return list(self._pool.map(work, *zip(*shards, strict=True))) if shards else []

    @staticmethod
    def shards(starts: npt.NDArray[np.int64]) -> Shards:
        """Cut things into runs of about equal weight; their cumulative weights are starts[1:]."""
        return shard_bounds(starts, _N_SHARDS)


@dataclass(frozen=True)
class EdgePrices:
    """Prices above 0 of a lattice's edges.

    Attributes:
        edges: edge numbers, int64[n], rising.
        values: prices in 1 / `unit` token, int64[n].
        unit: parts of a token that prices are multiples of.
    """

    edges: npt.NDArray[np.int64]
    values: npt.NDArray[np.int64]
    unit: int


@dataclass(frozen=True)
class Bound:
    """A proven lower bound.

    Attributes:
        numerator: the bound in 1 / `prices.unit` token.
        prices: the prices that prove it.
    """

    numerator: int
    prices: EdgePrices

    @property
    def tokens(self) -> int:
        """The bound in tokens, rounded up, as tokens are whole."""
        return -(-self.numerator // self.prices.unit)

    def gap(self, tokens: int) -> float:
        """Tokens above the bound as a share of it."""
        return tokens / self.tokens - 1 if self.tokens > 0 else 0.0


@dataclass(frozen=True)
class Objective:
    """The tokens of `counts` under least-tokens, to be minimised over choices of `n_select` candidates.

    Memory: 5 bytes an edge and 8 a byte of the lattice of distinct segments; `bound` takes 9 bytes an edge more.

    Attributes:
        blob: distinct segments concatenated, uint8.
        lattice: the places of tokens in them; pre-tokens are cut only where no token crosses, so sums are exact.
        counts: occurrences of each segment, int64.
        is_free: tokens that are always kept, single bytes among them, bool[n_tokens].
        n_select: how many of the other tokens may be kept.
        threads: the threads that work on it; no result depends on how many.
    """

    blob: npt.NDArray[np.uint8]
    lattice: Lattice
    counts: npt.NDArray[np.int64]
    is_free: Mask
    n_select: int
    threads: ThreadShards

    @classmethod
    def build(
        cls, trie: TokenTrie, counts: PretokenCounts, protected: Mask, n_keep: int, n_threads: int = 1
    ) -> Objective:
        """The objective of keeping `n_keep` of the trie's tokens, the protected ones (bool[n_tokens]) among them."""
        cut = Segments.build(trie, counts.blob, counts.starts, counts.counts, n_threads=n_threads)
        table = PretokenTable()  # a segment may be a whole pre-token and a part of others
        table.add(cut.blob, cut.starts[1:], cut.counts.astype(np.uint64))
        lattice = Lattice.build(trie, table.blob, table.starts, n_threads)
        n_free = int(np.count_nonzero(protected))
        return cls(
            table.blob,
            lattice,
            frozen(table.counts.astype(np.int64)),
            frozen(protected),
            n_keep - n_free,
            ThreadShards(n_threads),
        )

    @property
    def shards(self) -> Shards:
        """Runs of segments."""
        return ThreadShards.shards(self.lattice.starts)

    @property
    def unit(self) -> int:
        """Parts of a token that prices are multiples of, as fine as sums in 63 bits allow."""
        most = int((self.counts * np.diff(self.lattice.starts)).sum()) + 1
        return max(1, min(_FINEST_UNIT, 1 << max(0, (_MOST // most).bit_length() - 1)))

    def tokens(self, kept: Mask) -> int:
        """Tokens under least-tokens when only the tokens in `kept` (single bytes among them) exist."""
        parts = self.threads.run(
            lambda a, b: dual_kernels.least_tokens_alone(self.lattice, self.counts, frozen(kept), a, b), self.shards
        )
        return int(sum(parts))

    def bound(self, prices: EdgePrices) -> tuple[Bound, Mask]:
        """Compute the lower bound that the prices prove, in whole numbers, and edges on shortest paths, bool[n_edges].

        Raises ValueError for a price below 0 or on an edge of a token that is always kept.
        """
        tokens = self.lattice.edge_tokens[prices.edges]
        if prices.values.size and (prices.values.min() < 0 or self.is_free[tokens].any()):
            raise ValueError("a price is below 0 or stands on a token that is always kept")
        costs = np.zeros(self.lattice.n_edges, dtype=np.int64)
        costs[prices.edges] = prices.values
        used = np.zeros(self.lattice.n_edges, dtype=np.bool_)
        parts = self.threads.run(
            lambda a, b: dual_kernels.shortest_paths(self.lattice, self.counts, prices.unit, frozen(costs), a, b, used),
            self.shards,
        )
        sums = np.zeros(self.is_free.size, dtype=np.int64)
        np.add.at(sums, tokens, prices.values)
        largest = np.sort(sums)[::-1][: self.n_select]
        return Bound(int(sum(parts)) - int(largest.sum()), prices), used

    def improved(self, bound: Bound) -> Bound:
        """The same bound or a higher one, with prices that settle more tokens.

        In turns, prices are lowered where no shortest path needs them, and raised along shortest paths where these stay
        shortest: those of tokens outside the largest sums, up to the next one. In the end those of the largest sums are
        raised so, which leaves the bound as it is.
        """
        unit = bound.prices.unit
        costs = self._costs(bound.prices)
        for _ in range(_N_ASCENTS):
            self._tightened(costs, unit)
            self._lift(costs, unit, lifts_largest=False)
        self._tightened(costs, unit)
        self._lift(costs, unit, lifts_largest=True)
        edges = np.flatnonzero(costs)
        found, _ = self.bound(EdgePrices(edges, costs[edges], unit))
        return found if found.numerator >= bound.numerator else bound

    def _lift(self, costs: npt.NDArray[np.int64], unit: int, *, lifts_largest: bool) -> None:
        """Raise prices (int64[n_edges], changed) along shortest paths: of the largest sums, or of the others."""
        sums = self._sums(costs)
        order = np.argsort(-np.where(self.is_free, -1, sums), kind="stable")
        chosen, following = order[: self.n_select], sums[order[self.n_select : self.n_select + 1]].sum()
        most = np.full(sums.size, 0 if lifts_largest else following, dtype=np.int64)
        most[chosen] = _MOST if lifts_largest else 0
        most[self.is_free] = 0
        dual_kernels.lift_prices(self.lattice, self.counts, unit, costs, sums, most)

    def _costs(self, prices: EdgePrices) -> npt.NDArray[np.int64]:
        costs = np.zeros(self.lattice.n_edges, dtype=np.int64)
        costs[prices.edges] = prices.values
        return costs

    def _sums(self, costs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        sums = np.zeros(self.is_free.size, dtype=np.int64)
        np.add.at(sums, self.lattice.edge_tokens, costs)
        return sums

    def settled(self, bound: Bound, tokens: int) -> tuple[Mask, Mask]:
        """Candidates that are in every choice of at most `tokens` tokens, and those in none, both bool[n_tokens].

        Let a candidate's prices sum to s. Without it, the next largest sum takes the place of s, if that is among the
        largest. With it, s takes the place of the last of them, if it is not. Where the same prices then bound every
        choice by more than `tokens`, no such choice is as good (reduced-cost fixing; Balas and Martin 1980). Tokens
        that are always kept are in neither.
        """
        sums = np.zeros(self.is_free.size, dtype=np.int64)
        np.add.at(sums, self.lattice.edge_tokens[bound.prices.edges], bound.prices.values)
        slack = tokens * bound.prices.unit - bound.numerator
        largest = np.sort(sums[~self.is_free])[::-1]
        n = self.n_select
        last, following = (int(largest[k]) if k < largest.size else 0 for k in (max(0, n - 1), n))
        is_in = ~self.is_free & (sums - following > slack)
        is_out = ~self.is_free & ((last - sums > slack) | (n == 0))
        return is_in, is_out

    def spread(self, prices: EdgePrices, factor: Fraction = Fraction(1)) -> npt.NDArray[np.int64]:
        """Compute the bounds that prices times a factor prove, for each number of candidates kept.

        The same prices bound every choice, whatever number it keeps. They are first lowered where a shortest path does
        not need them, so the entry at `n_select` is at least the numerator of `bound`. Where sums might not fit into 63
        bits, the prices count as 0.

        Returns:
            Bounds in 1 / `prices.unit` token, int64[n_candidates + 1]: at [k] for k candidates besides those always
            kept.
        """
        costs = np.zeros(self.lattice.n_edges, dtype=np.int64)
        costs[prices.edges] = prices.values * factor.numerator // factor.denominator
        total = self._tightened(costs, prices.unit)
        if float(costs.sum(dtype=np.float64)) >= _MOST:
            costs[:] = 0
            total = self._tightened(costs, prices.unit)
        sums = np.zeros(self.is_free.size, dtype=np.int64)
        np.add.at(sums, self.lattice.edge_tokens, costs)
        largest = np.sort(sums[~self.is_free])[::-1]
        return np.asarray(total - np.concatenate([[0], np.cumsum(largest)]))

    def _tightened(self, costs: npt.NDArray[np.int64], unit: int) -> int:
        """Lower the prices of all edges (int64[n_edges], changed) as far as shortest paths allow; returns their sum."""
        parts = self.threads.run(
            lambda a, b: dual_kernels.tighten_prices(self.lattice, self.counts, unit, costs, a, b), self.shards
        )
        return int(sum(parts))
