"""Exact prices of tokens, kept up to date while tokens are dropped and revived."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vocab.corpus.counts import PretokenCounts
from vocab.encoding import inference
from vocab.encoding.encoder import LOOKS_AHEAD, METHOD_CODES, InferenceMethod
from vocab.encoding.lattice import Lattice, Segments, TokenTrie
from vocab.threads import run_shards, shard_bounds

# Longer segments are priced in pieces of this many bytes: pricing one is quadratic in its length.
MAX_PRICED_BYTES = 128


class PriceBook:
    """What each token is worth under an inference method, given which tokens are alive.

    The price of a live token is how many more tokens the corpus needs when it alone is dropped; the gain of a
    dropped one, how many fewer when it alone is revived. Both are exact, may be negative under merges, and after a
    change only the pre-tokens that the change can touch are encoded again.

    Memory: 4 bytes an edge of the lattice and about 17 a byte of distinct pre-tokens (33 under ungreedy), plus 8 bytes
    a token a thread.
    """

    def __init__(self, trie: TokenTrie, counts: PretokenCounts, method: InferenceMethod, n_threads: int = 1) -> None:
        table = (counts.blob, counts.starts, counts.counts)
        cut = Segments.build(trie, *table, MAX_PRICED_BYTES, n_threads, keep_whole=method in LOOKS_AHEAD)
        n_tokens = trie.lengths.size
        self.lattice = Lattice.build(trie, cut.blob, cut.starts, n_threads, cut.n_whole)
        self.counts = cut.counts
        self.alive = np.ones(n_tokens, dtype=np.bool_)
        self.prices = np.zeros(n_tokens, dtype=np.int64)
        self.total_tokens = 0
        self._method = METHOD_CODES[method]
        self._shards = shard_bounds(cut.starts, n_threads)
        self._pending = np.ones(cut.counts.size, dtype=np.bool_)
        self._ledger = inference.new_ledger(self._method, cut.starts)
        self._price_pending()

    @property
    def n_alive(self) -> int:
        """Live tokens."""
        return int(np.count_nonzero(self.alive))

    def change(self, *, drop: npt.NDArray[np.int64] | None = None, revive: npt.NDArray[np.int64] | None = None) -> None:
        """Drop live tokens and revive dropped ones, given by id, and bring all prices up to date."""
        dropped, revived = np.zeros_like(self.alive), np.zeros_like(self.alive)
        if drop is not None:
            dropped[drop] = True
        if revive is not None:
            revived[revive] = True
        self.alive[dropped] = False
        self.alive[revived] = True
        run_shards(
            lambda a, b: inference.mark_affected(
                self.lattice, dropped, revived, self._ledger.signatures, a, b, self._pending
            ),
            self._shards,
        )
        self._price_pending()

    def gains(self, candidates: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Tokens saved by reviving each candidate alone, int64[n_tokens]; live tokens have none."""
        wanted = candidates & ~self.alive

        def work(a: int, b: int) -> npt.NDArray[np.int64]:
            gains = np.zeros(self.alive.size, dtype=np.int64)
            inference.revival_gains(
                self._method,
                self.lattice,
                self.alive.copy(),
                self.counts,
                self._ledger.sizes,
                wanted,
                a,
                b,
                gains,
            )
            return gains

        return sum(run_shards(work, self._shards), np.zeros(self.alive.size, dtype=np.int64))

    def _price_pending(self) -> None:
        def work(a: int, b: int) -> tuple[int, npt.NDArray[np.int64]]:
            prices = np.zeros(self.alive.size, dtype=np.int64)
            change = inference.price_pretokens(
                self._method,
                self.lattice,
                self.alive.copy(),
                self.counts,
                self._pending,
                a,
                b,
                self._ledger,
                prices,
            )
            return change, prices

        for change, prices in run_shards(work, self._shards):
            self.total_tokens += int(change)
            self.prices += prices
