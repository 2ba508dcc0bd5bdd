"""The order of merge ranks: which of the kept tokens has to be merged before which.

tiktoken merges the pair that makes the token of lowest rank, so ranks decide how near merging comes to the fewest
tokens. The goal for each pre-token is the nearest of its shortest paths. Wherever a merge within a token of that path
competes with one across its border, the first has to come before the other. These demands, weighted by counts,
contradict one another (a linear ordering problem, NP-hard). So tokens are moved to where most demands are met, many at
a time, as long as the corpus needs fewer tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints, Mask, frozen
from vocab.prune.methods import merge_rank_kernels as order_kernels
from vocab.prune.methods.distill import drop_cheapest, exchange
from vocab.prune.methods.pricing import PriceBook

# Pre-tokens are read in runs of about this many bytes; memory is 32 bytes for each byte of a run a thread.
_RUN_BYTES = 1 << 20
_MAX_ROUNDS = 8
# Of the moves that seem to pay, this share is made at once; while they do not pay together, a quarter of them.
_SHARE = 0.5
_FEWER = 4
# Reordering ends when a round saves less than this share of all tokens.
_LEAST_SAVING = 2e-6
# While tokens are dropped, ranks are put in order each time that this multiple of the target is left.
_STAGES = (2.5, 1.7, 1.25, 1.08, 1.0)
_STAGE_ROUNDS = 3
_N_EXCHANGES = 2
# How often the best vocabulary for least-tokens is taken in and the surplus dropped again.
_N_RECOMBINATIONS = 2

# Called with tokens dropped and tokens to drop.
OnDrop = Callable[[int, int], None]


@dataclass(frozen=True)
class Precedences:
    """Demands on ranks, each pair once.

    Attributes:
        earlier: the token that has to come first, int64[n].
        later: the token that has to come after it, int64[n].
        weights: in how many places of the corpus, int64[n].
    """

    earlier: Ints
    later: Ints
    weights: Ints


def distill_in_order(book: PriceBook, n_keep: int, protected: Mask, on_progress: OnDrop | None = None) -> None:
    """Drop tokens as `distill` does, for merges, and put the ranks in order meanwhile; changes the book and its ranks.

    `protected` is by the order of the trie, bool[n_tokens].
    """
    surplus = book.n_kept - n_keep
    for n in sorted({min(book.n_kept, int(n_keep * stage)) for stage in _STAGES}, reverse=True):
        if on_progress:
            on_progress(surplus - (book.n_kept - n_keep), surplus)
        drop_cheapest(book, n, protected[book.tokens])
        improve_order(book, _STAGE_ROUNDS)
    for _ in range(_N_EXCHANGES):
        exchange(book, protected[book.tokens])
        improve_order(book)


def recombine(book: PriceBook, others: Mask, n_keep: int, protected: Mask) -> None:
    """Take in `others` (bool[n_tokens], by the order of the trie) all at once, put the ranks in order and distil again.

    Many tokens pay only together with others that they are merged from, which no exchange of one for one finds.
    """
    for _ in range(_N_RECOMBINATIONS):
        before = book.total_tokens
        book.change(restore=np.flatnonzero(others[book.tokens] & ~book.kept))
        improve_order(book)
        distill_in_order(book, n_keep, protected)
        if book.total_tokens >= before:
            return


def improve_order(book: PriceBook, max_rounds: int = _MAX_ROUNDS) -> None:
    """Move kept tokens of a book for merges to ranks at which the corpus needs fewer tokens."""
    ranks = np.arange(book.kept.size, dtype=np.int64)
    least = book.total_tokens
    for _ in range(max_rounds):
        before = least
        gains, places = _best_places(precedences(book, ranks), ranks)
        movable = np.flatnonzero(gains > 0)
        movable = movable[np.lexsort((movable, -gains[movable]))]
        n = int(np.ceil(movable.size * _SHARE))
        while n > 0:
            trial = _moved(ranks, movable[:n], places)
            n_tokens = tokens_in_order(book, trial)
            if n_tokens < least:
                ranks, least = trial, n_tokens
                break
            n //= _FEWER
        if before - least <= before * _LEAST_SAVING:
            break
    book.reorder(np.argsort(ranks))


def tokens_in_order(book: PriceBook, ranks: Ints) -> int:
    """Tokens of the book's counts when its kept tokens merge by `ranks` (int64[n_tokens]) instead of their own."""
    given = (book.lattice, frozen(book.kept), frozen(ranks), book.counts)

    def count(a: int, b: int) -> int:
        return int(order_kernels.count_tokens(*given, a, b, order_kernels.new_work(book.lattice.starts, a, b)))

    return sum(book.run_runs(count))


def precedences(book: PriceBook, ranks: Ints) -> Precedences:
    """Demands on the ranks of a book's kept tokens, now `ranks`, so that merging makes the fewest tokens."""
    n_tokens = np.int64(book.kept.size)

    def collect(a: int, b: int) -> tuple[Ints, Ints]:
        room = 2 * int(book.lattice.starts[b] - book.lattice.starts[a])
        earlier, later = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
        weights = np.empty(room, dtype=np.int64)
        lists = (earlier, later, weights)
        args = (book.lattice, frozen(book.kept), frozen(ranks), book.counts, a, b)
        n = order_kernels.precedences(*args, *lists, order_kernels.new_work(book.lattice.starts, a, b))
        others = np.flatnonzero(earlier[:n] != later[:n])  # no order can put a token before itself
        return _summed(earlier[others] * n_tokens + later[others], weights[others])

    pairs = book.run_runs(collect, _RUN_BYTES)
    keys, weights = _summed(np.concatenate([k for k, _ in pairs]), np.concatenate([w for _, w in pairs]))
    return Precedences(keys // n_tokens, keys % n_tokens, weights)


def _summed(keys: Ints, weights: Ints) -> tuple[Ints, Ints]:
    """Distinct keys, rising, with the sums of their weights."""
    order = np.argsort(keys, kind="stable")
    keys, weights = keys[order], weights[order]
    firsts = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[firsts], np.add.reduceat(weights, firsts) if firsts.size else weights


def _best_places(demands: Precedences, ranks: Ints) -> tuple[Ints, npt.NDArray[np.float64]]:
    """Gain of moving each token alone to its best place, in places of the corpus where a demand is met; that place."""
    tokens = np.concatenate([demands.earlier, demands.later])
    neighbours = ranks[np.concatenate([demands.later, demands.earlier])]
    changes = np.concatenate([demands.weights, -demands.weights])
    order = np.lexsort((neighbours, tokens))
    firsts = np.zeros(ranks.size + 1, dtype=np.int64)
    np.cumsum(np.bincount(tokens, minlength=ranks.size), out=firsts[1:])
    # With the lowest rank of all, a token breaks every demand that it come later.
    lowest = np.zeros(ranks.size, dtype=np.int64)
    np.add.at(lowest, demands.later, demands.weights)
    gains, places = np.zeros(ranks.size, dtype=np.int64), ranks.astype(np.float64)
    lists = (firsts, neighbours[order], changes[order], lowest, ranks)
    order_kernels.best_places(*map(frozen, lists), gains, places)
    return gains, places


def _moved(ranks: Ints, tokens: Ints, places: npt.NDArray[np.float64]) -> Ints:
    """Ranks after some tokens have moved to their places."""
    goals = ranks.astype(np.float64)
    goals[tokens] = places[tokens]
    moved = np.empty_like(ranks)
    moved[np.lexsort((ranks, goals))] = np.arange(ranks.size)
    return moved
