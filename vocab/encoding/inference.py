"""Inference methods on a lattice: how pre-tokens are cut into tokens, and the prices of tokens that follow.

Names as in Uzan et al. 2024, "Greed is All You Need", but for `ungreedy`, TokenMonster's name for its own. A token's id
is its merge rank. Each method has a module of kernels, imported when it is first used, so that no other is compiled.

The price of a token is how many more tokens a pre-token needs when that token does not exist. The pre-token `lower`
under merges, with the tokens `lo`, `er`, `low` (in order of rank) and all single bytes:

    with all tokens    l o w e r → lo w e r → lo w er → low er    2 tokens
    without `er`       l o w e r → lo w e r → low e r             3 tokens, so `er` has the price 1
    without `low`      l o w e r → lo w e r → lo w er             3 tokens, so `low` has the price 1
    without `lo`       l o w e r → l o w er                       4 tokens, so `lo` has the price 2: no `low` without it

Selection adds these up over a corpus, each times the count of its pre-token, and drops the cheapest tokens.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen
from vocab.choices import InferenceMethod
from vocab.encoding.lattice import Lattice, TokenTrie

_KERNEL_MODULES: dict[InferenceMethod, str] = {
    "merges": "merges_kernels",
    "least-tokens": "least_tokens_kernels",
    "longest-prefix": "longest_prefix_kernels",
    "ungreedy": "ungreedy_kernels",
    "scored-merges": "scored_merges_kernels",
    "unigram": "unigram_kernels",
    "wordpiece": "longest_prefix_kernels",
}
INFERENCE_METHODS: tuple[InferenceMethod, ...] = tuple(_KERNEL_MODULES)

Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.int32]


class Ledger(NamedTuple):
    """What each pre-token contributed to the prices, so that it can be taken back.

    The entries of pre-token w are at starts[w] … starts[w] + tree_sizes[w].
    """

    starts: npt.NDArray[np.int64]
    tree_tokens: npt.NDArray[np.int32]
    tree_prices: npt.NDArray[np.int32]
    tree_sizes: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int32]  # tokens of each pre-token
    signatures: npt.NDArray[np.uint64]  # every token its prices rest on, folded into 64 bits

    @classmethod
    def empty(cls, method: InferenceMethod, starts: npt.NDArray[np.int64]) -> Ledger:
        """An empty ledger for pre-tokens (starts int64[n + 1]) under a method.

        Memory: 8 bytes an entry. There may be one for each byte; under ungreedy three, the longest token there and its
        two alternatives.
        """
        begins = starts * (3 if method == "ungreedy" else 1)
        n_entries, n_pretokens = int(begins[-1]), starts.size - 1
        return cls(
            starts=frozen(begins),
            tree_tokens=np.empty(n_entries, dtype=np.int32),
            tree_prices=np.empty(n_entries, dtype=np.int32),
            tree_sizes=np.zeros(n_pretokens, dtype=np.int32),
            sizes=np.zeros(n_pretokens, dtype=np.int32),
            signatures=np.zeros(n_pretokens, dtype=np.uint64),
        )


class LatticeEncoder:
    """One inference method on one lattice, with any part of its tokens.

    Methods take `kept` (bool[n_tokens], all single bytes kept) and a run of pre-tokens a … b - 1; runs can be worked on
    by several threads at once, each with its own `kept` where it says "changed and put back".
    """

    def __init__(self, method: InferenceMethod, trie: TokenTrie, lattice: Lattice, blob: npt.NDArray[np.uint8]) -> None:
        """`blob` (uint8) holds the bytes of the pre-tokens of `lattice`, which was built over `trie`."""
        self._kernels: Any = import_module(f"vocab.encoding.{_KERNEL_MODULES[method]}")
        self._lattice = _with_token_facts(self._kernels, method, trie, lattice, frozen(blob))
        self._room = int(np.diff(lattice.starts).max(initial=0)) + 2

    def encode(self, kept: Mask, a: int, b: int, ids: Tokens, sizes: Tokens, *, leaves_out: bool = False) -> None:
        """Write the tokens of pre-token w to ids[starts[w]:] (int32, a place a byte), how many to sizes[w] (int32).

        With `leaves_out`, pre-token w is token w, and is encoded without that token unless it is a single byte: under
        merges that undoes its last merge. `kept` is then changed and put back.
        """
        self._kernels.encode_all(self._lattice, _writable(kept), leaves_out, a, b, ids, sizes, self._scratch())

    def tally(self, kept: Mask, counts: Counts, a: int, b: int, uses: Counts) -> int:
        """Encode pre-tokens whose count (int64) is not 0: add to `uses` (int64 a token), return how many tokens."""
        return int(self._kernels.tally(self._lattice, _writable(kept), counts, a, b, uses, self._scratch()))

    def price(self, kept: Mask, counts: Counts, pending: Mask, a: int, b: int, ledger: Ledger, prices: Counts) -> int:
        """Price again the pre-tokens marked in `pending` (bool), and clear their marks; returns the change in tokens.

        Changes `prices` (int64 a token), the ledger, and `kept`, which is put back.
        """
        work = (self._scratch(), self._scratch())
        args = (counts, pending, a, b, ledger, prices)
        return int(self._kernels.price_pretokens(self._lattice, _writable(kept), *args, *work))

    def restore_gains(
        self, kept: Mask, counts: Counts, sizes: Tokens, candidates: Mask, a: int, b: int, gains: Counts
    ) -> None:
        """Add to `gains` (int64 a token) the tokens saved by restoring each candidate (bool a token, not kept) alone.

        `sizes` (int32) are the tokens of each pre-token now. `kept` is changed and put back.
        """
        seen, saved = np.full(kept.size, -1, dtype=np.int64), np.zeros(kept.size, dtype=np.int32)
        work = (self._scratch(), self._scratch(), seen, saved)
        args = (counts, sizes, candidates, a, b, gains)
        self._kernels.restore_gains(self._lattice, _writable(kept), *args, *work)

    def _scratch(self) -> Any:
        return self._kernels.new_scratch(self._room)


def _writable(kept: Mask) -> Mask:
    """The mask itself, or a copy of one that is read-only: Numba compiles a kernel once more for such an array."""
    return kept if kept.flags.writeable else kept.copy()


def _with_token_facts(
    kernels: Any, method: InferenceMethod, trie: TokenTrie, lattice: Lattice, blob: npt.NDArray[np.uint8]
) -> Any:
    """The lattice as the kernels of a method read it: with what the method asks of tokens besides."""
    if method == "scored-merges":
        by_pair = trie.pair_order is not None
        starts = trie.starts[:-1] if by_pair else np.arange(trie.lengths.size)
        order = trie.order if trie.pair_order is None else trie.pair_order
        facts = (blob, frozen(order), frozen(trie.byte_tokens), frozen(starts), int(by_pair), int(trie.has_unknown))
        return kernels.ScoredLattice(*lattice[:5], *facts)
    if method == "unigram":
        return kernels.UnigramLattice(
            *lattice[:5], blob, frozen(trie.byte_tokens), frozen(trie.units), int(trie.has_unknown)
        )
    if method == "ungreedy":
        return kernels.UngreedyLattice(*lattice[:3], lattice.lengths, *trie.flags)
    return lattice
