"""The order of merge ranks: which of the kept tokens has to be merged before which.

tiktoken merges whatever pair makes the token of lowest rank, so ranks decide how near merging comes to the fewest
tokens. For each pre-token the nearest of its shortest paths is wanted; wherever a merge within a wanted token competes
with one across its border, the first has to come before the other. These demands, weighted by counts, contradict one
another (a linear ordering problem, NP-hard), so tokens move one by one to where most are met, many at a time, as long
as the corpus needs fewer tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen
from vocab.choices import Ranks
from vocab.prune.methods import merge_rank_kernels as order_kernels
from vocab.prune.methods.distill import drop_cheapest, exchange
from vocab.prune.methods.pricing import PriceBook

# Pre-tokens are looked at in runs of about so many bytes; memory is 32 bytes for each of them a thread.
_RUN_BYTES = 1 << 20
_MAX_ROUNDS = 8
# Of the moves that seem to pay, this share is made at once; while they do not pay together, a quarter of them.
_SHARE = 0.5
_FEWER = 4
# Reordering ends when a round saves less than this share of all tokens.
_LEAST_SAVING = 2e-6
# While tokens are dropped, ranks are put in order when so many times the target are left.
_STAGES = (2.5, 1.7, 1.25, 1.08, 1.0)
_STAGE_ROUNDS = 3
_N_EXCHANGES = 2
# How often the best vocabulary for least-tokens is taken in and what is too many dropped again.
_N_RECOMBINATIONS = 2

RANKS: tuple[Ranks, ...] = get_args(Ranks)

Ints = npt.NDArray[np.int64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Precedences:
    """Demands on ranks, each pair once: earlier[k] before later[k] (token numbers), in weights[k] places; int64."""

    earlier: Ints
    later: Ints
    weights: Ints


def distill_in_order(
    book: PriceBook, n_keep: int, protected: npt.NDArray[np.bool_], on_progress: Progress | None = None
) -> None:
    """`distill` for merges that also puts the ranks in order while it drops tokens; changes the book and its ranks.

    `protected` is bool a token of the trie.
    """
    surplus = book.n_alive - n_keep
    for n in sorted({min(book.n_alive, int(n_keep * stage)) for stage in _STAGES}, reverse=True):
        if on_progress:
            on_progress(surplus - (book.n_alive - n_keep), surplus)
        drop_cheapest(book, n, protected[book.tokens])
        improve_order(book, _STAGE_ROUNDS)
    for _ in range(_N_EXCHANGES):
        exchange(book, protected[book.tokens])
        improve_order(book)


def recombine(book: PriceBook, others: npt.NDArray[np.bool_], n_keep: int, protected: npt.NDArray[np.bool_]) -> None:
    """Take in other tokens (bool a token of the trie) all at once, put the ranks in order and distil again.

    Many tokens pay only beside others that they are merged from, which no exchange of one for one finds.
    """
    for _ in range(_N_RECOMBINATIONS):
        before = book.total_tokens
        book.change(revive=np.flatnonzero(others[book.tokens] & ~book.alive))
        improve_order(book)
        distill_in_order(book, n_keep, protected)
        if book.total_tokens >= before:
            return


def kept_tokens(book: PriceBook) -> Ints:
    """The live tokens of a book, by their numbers in its trie, in order of rank."""
    return book.tokens[book.alive]


def improve_order(book: PriceBook, max_rounds: int = _MAX_ROUNDS) -> None:
    """Move live tokens of a book for merges to ranks at which the corpus needs fewer tokens."""
    ranks = np.arange(book.alive.size, dtype=np.int64)
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
    """Tokens of the book's counts when its live tokens merge by `ranks` (int64 a token) instead of their own."""
    return sum(
        book.run_runs(
            lambda a, b: int(
                order_kernels.count_tokens(book.lattice, frozen(book.alive), frozen(ranks), book.counts, a, b)
            )
        )
    )


def precedences(book: PriceBook, ranks: Ints) -> Precedences:
    """What merging into as few tokens as can be asks of the ranks of a book's live tokens, which now are `ranks`."""
    n_tokens = np.int64(book.alive.size)

    def collect(a: int, b: int) -> tuple[Ints, Ints]:
        room = 2 * int(book.lattice.starts[b] - book.lattice.starts[a])
        earlier, later = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
        weights = np.empty(room, dtype=np.int64)
        lists = (earlier, later, weights)
        args = (book.lattice, frozen(book.alive), frozen(ranks), book.counts, a, b)
        n = order_kernels.precedences(*args, *lists)
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
    """What moving each token alone to its best place gains (in places where a demand is met), and that place."""
    tokens = np.concatenate([demands.earlier, demands.later])
    neighbours = ranks[np.concatenate([demands.later, demands.earlier])]
    changes = np.concatenate([demands.weights, -demands.weights])
    order = np.lexsort((neighbours, tokens))
    firsts = np.zeros(ranks.size + 1, dtype=np.int64)
    np.cumsum(np.bincount(tokens, minlength=ranks.size), out=firsts[1:])
    # Below all others, a token breaks every demand that it come later.
    lowest = np.zeros(ranks.size, dtype=np.int64)
    np.add.at(lowest, demands.later, demands.weights)
    gains, places = np.zeros(ranks.size, dtype=np.int64), ranks.astype(np.float64)
    lists = (firsts, neighbours[order], changes[order], lowest, ranks)
    order_kernels.best_places(*map(frozen, lists), gains, places)
    return gains, places


def _moved(ranks: Ints, tokens: Ints, places: npt.NDArray[np.float64]) -> Ints:
    """Ranks when some tokens have moved to their places."""
    wanted = ranks.astype(np.float64)
    wanted[tokens] = places[tokens]
    moved = np.empty_like(ranks)
    moved[np.lexsort((ranks, wanted))] = np.arange(ranks.size)
    return moved
