"""Exact prices of tokens, kept up to date while tokens are dropped and restored."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints, Mask, frozen
from vocab.choices import CHARACTER_METHODS, InferenceMethod
from vocab.encoding.encoder import LOOKS_AHEAD
from vocab.encoding.inference import LatticeEncoder, Ledger
from vocab.encoding.lattice import CountedLattice, Lattice, Segments, TokenTrie
from vocab.encoding.pricing_kernels import list_holders, mark_affected
from vocab.pretokens.counts import PretokenCounts
from vocab.threads import run_shards, shard_bounds

# Longer segments are priced in pieces of this many bytes: pricing one is quadratic in its length.
MAX_PRICED_BYTES = 128

T = TypeVar("T")


class _Gains(NamedTuple):
    """The gains of all dropped tokens, and what they were found with."""

    kept: Mask
    sizes: npt.NDArray[np.int32]  # tokens of each pre-token
    gains: Ints


class PriceBook:
    """What each token is worth under an inference method, given which tokens are kept.

    The price of a kept token: how many more tokens the corpus needs when it alone is dropped. The gain of a dropped
    token: how many fewer when it alone is restored. Both are exact, and may be negative under merges. After a change
    only the pre-tokens that the change can touch are encoded again.

    Arrays are in the order of ranks, which is that of the trie until `reorder`. With `looks_up` false, merges look up
    no whole pre-token, so a token is worth nothing while a token that it is merged from is dropped.

    Attributes:
        lattice: the places of tokens in the distinct segments of the corpus.
        counts: occurrences of each segment, int64.
        tokens: which token of the trie has each rank, int64[n_tokens].
        kept: which tokens are kept, bool[n_tokens].
        prices: price of each kept token, int64[n_tokens].
        total_tokens: tokens of the corpus with the kept tokens.

    Memory: 9 bytes an edge of the lattice and about 17 a byte of distinct pre-tokens (33 under ungreedy), plus 8 bytes
    a token a thread.
    """

    def __init__(
        self,
        trie: TokenTrie,
        text: PretokenCounts | CountedLattice,
        method: InferenceMethod,
        n_threads: int = 1,
        *,
        looks_up: bool = True,
    ) -> None:
        """Price all tokens of `trie` on a corpus, given as counts or as segments of at most MAX_PRICED_BYTES.

        Merges look up whole pre-tokens first if `looks_up` says so.
        """
        if isinstance(text, PretokenCounts):
            table = (text.blob, text.starts, text.counts)
            cut = Segments.build(trie, *table, MAX_PRICED_BYTES, n_threads, keep_whole=method in LOOKS_AHEAD)
            text = CountedLattice.of(trie, cut, n_threads)
        n_tokens = trie.lengths.size
        self.lattice, self._blob, self.counts = text
        if not looks_up:
            self.lattice = self.lattice._replace(n_whole=0)
        self.tokens = np.arange(n_tokens, dtype=np.int64)
        self.kept = np.ones(n_tokens, dtype=np.bool_)
        self.prices = np.zeros(n_tokens, dtype=np.int64)
        self.total_tokens = 0
        self._method = method
        self._trie = trie
        self._encoder = LatticeEncoder(method, trie, self.lattice, self._blob)
        self._shards = shard_bounds(self.lattice.starts, n_threads)
        self._last_gains: _Gains | None = None
        self._pending = np.ones(self.counts.size, dtype=np.bool_)
        self._ledger = Ledger.empty(self._method, self.lattice.starts)
        self._holders = _holders(self.lattice, n_tokens, 1 if method in CHARACTER_METHODS else 2)
        self._price_pending()

    @property
    def n_kept(self) -> int:
        """How many tokens are kept."""
        return int(np.count_nonzero(self.kept))

    @property
    def kept_tokens(self) -> Ints:
        """The kept tokens by their numbers in the trie, in order of rank, int64[n_kept]."""
        return self.tokens[self.kept]

    def change(self, *, drop: Ints | None = None, restore: Ints | None = None) -> None:
        """Drop kept tokens and restore dropped ones, given by rank, and bring all prices up to date."""
        for ranks, is_restored in ((drop, False), (restore, True)):
            if ranks is not None:
                self.kept[ranks] = is_restored
                tokens = frozen(self.tokens[ranks])
                mark_affected(
                    *self._holders, tokens, frozen(ranks), self._ledger.signatures, is_restored, self._pending
                )
        self._price_pending()

    def reorder(self, order: Ints) -> None:
        """Give the token of rank order[k] the rank k; `order` is a permutation, int64[n_tokens].

        Raises ValueError unless the method is merges, the only one that uses ranks.
        """
        if self._method != "merges":
            raise ValueError("only merges go by rank")
        ranks = np.empty(order.size, dtype=np.int32)
        ranks[order] = np.arange(order.size, dtype=np.int32)
        self.lattice = self.lattice._replace(
            edge_tokens=frozen(ranks[self.lattice.edge_tokens]), lengths=frozen(self.lattice.lengths[order])
        )
        self._encoder = LatticeEncoder("merges", self._trie, self.lattice, self._blob)
        self.tokens, self.kept = self.tokens[order], self.kept[order]
        self.prices = np.zeros_like(self.prices)
        self._ledger = Ledger.empty(self._method, self.lattice.starts)
        self._last_gains = None
        self._pending[:] = True
        self.total_tokens = 0
        self._price_pending()

    def run_runs(self, work: Callable[[int, int], T], run_bytes: int | None = None) -> list[T]:
        """Call `work(first, last)` for runs of pre-tokens, one a thread or of about `run_bytes`; results in order."""
        n_bytes = int(self.lattice.starts[-1])
        runs = shard_bounds(self.lattice.starts, n_bytes // run_bytes + 1) if run_bytes else self._shards
        with ThreadPoolExecutor(len(self._shards)) as pool:
            return list(pool.map(work, *zip(*runs, strict=True)))

    def gains(self, candidates: Mask) -> Ints:
        """Tokens saved by restoring each candidate alone, int64[n_tokens]; kept tokens have no gain."""
        dropped = candidates & ~self.kept
        now = _Gains(self.kept.copy(), self._ledger.sizes.copy(), np.empty(0, dtype=np.int64))
        if not np.array_equal(dropped, ~self.kept):
            return self._restore_gains(now, dropped, self.counts)
        counts, before = self._counts_touched(), self._last_gains
        gains = self._restore_gains(now, dropped, self.counts if counts is None else counts)
        if counts is not None and before is not None:
            gains += before.gains - self._restore_gains(before, ~before.kept, counts)
        self._last_gains = now._replace(gains=gains)
        return gains.copy()

    def _counts_touched(self) -> Ints | None:
        """The counts of pre-tokens that changes since the last gains may touch, 0 for others; None where few are not.

        A pre-token that holds no token of a change gives each token the gain that it gave before.
        """
        if self._last_gains is None:
            return None
        ranks = np.flatnonzero(self._last_gains.kept != self.kept)
        is_touched = np.zeros(self.counts.size, dtype=np.bool_)
        tokens = frozen(self.tokens[ranks])
        mark_affected(*self._holders, tokens, frozen(ranks), self._ledger.signatures, True, is_touched)
        return np.where(is_touched, self.counts, 0) if 2 * np.count_nonzero(is_touched) < is_touched.size else None

    def _restore_gains(self, state: _Gains, dropped: Mask, counts: Ints) -> Ints:
        """Tokens saved by restoring each dropped token alone, in pre-tokens whose count is not 0, int64[n_tokens]."""

        def work(a: int, b: int) -> Ints:
            gains = np.zeros(dropped.size, dtype=np.int64)
            self._encoder.restore_gains(state.kept.copy(), counts, state.sizes, dropped, a, b, gains)
            return gains

        return sum(run_shards(work, self._shards), np.zeros(dropped.size, dtype=np.int64))

    def _price_pending(self) -> None:
        def work(a: int, b: int) -> tuple[int, Ints]:
            prices = np.zeros(self.kept.size, dtype=np.int64)
            change = self._encoder.price(self.kept.copy(), self.counts, self._pending, a, b, self._ledger, prices)
            return change, prices

        for change, prices in run_shards(work, self._shards):
            self.total_tokens += int(change)
            self.prices += prices


def _holders(lattice: Lattice, n_tokens: int, least_bytes: int) -> tuple[npt.NDArray[np.int32], Ints]:
    """The pre-tokens that hold each token of `least_bytes` or more, and where those of each token end.

    Those of token t are from ends[t - 1] to ends[t]. A change so touches only what it concerns, not the whole lattice.
    """
    sizes = np.zeros(n_tokens, dtype=np.int64)
    list_holders(lattice, least_bytes, sizes, np.empty(0, dtype=np.int32))
    ends = np.cumsum(sizes) - sizes
    holders = np.empty(int(sizes.sum()), dtype=np.int32)
    list_holders(lattice, least_bytes, ends, holders)
    return frozen(holders), frozen(ends)
