"""`distill`: drop the tokens of lowest exact price, price again, and in the end exchange what was dropped in error.

The idea is TokenMonster's: drop the worst, score again, restore what is missed. The score here is the exact change in
tokens that the shipped encoder would produce, not a count of uses.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vocab.arrays import Ints, Mask
from vocab.prune.methods.pricing import PriceBook

# Share of the surplus dropped before prices are brought up to date, and the least number of tokens in a slice.
_SLICE = 0.2
_MIN_SLICE = 64
# Exchanges stop when a round saves less than this share of all tokens.
_MIN_SAVING = 2e-5
_MAX_ROUNDS = 30
_SHARE = 0.5


def distill(
    book: PriceBook,
    n_keep: int,
    protected: Mask,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Drop tokens of `book` until `n_keep` are kept, never a protected one; changes the book.

    Args:
        book: exact prices of tokens.
        n_keep: tokens to keep.
        protected: tokens never to drop, bool[n_tokens].
        on_progress: is called with tokens dropped and tokens to drop.

    Raises:
        ValueError: more than `n_keep` tokens are protected.
    """
    drop_cheapest(book, n_keep, protected, on_progress)
    exchange(book, protected)


def drop_cheapest(
    book: PriceBook,
    n_keep: int,
    protected: Mask,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """The first half of `distill`: drop tokens slice by slice and restore none."""
    to_drop = book.n_kept - n_keep
    while (surplus := book.n_kept - n_keep) > 0:
        if on_progress:
            on_progress(to_drop - surplus, to_drop)
        n = min(surplus, max(_MIN_SLICE, int(surplus * _SLICE)))
        cheapest = _cheapest(book, protected, n)
        if cheapest.size == 0:
            raise ValueError(f"{n_keep} tokens cannot be kept: {book.n_kept} are protected")
        book.change(drop=cheapest)


def _cheapest(book: PriceBook, protected: Mask, n: int) -> Ints:
    """The n kept tokens of lowest price; of equal ones the later ranks first."""
    ids = np.flatnonzero(book.kept & ~protected)
    if 0 < n < ids.size:  # only these are sorted
        prices = book.prices[ids]
        ids = ids[prices <= np.partition(prices, n - 1)[n - 1]]
    return ids[np.lexsort((-ids, book.prices[ids]))[:n]]


def exchange(book: PriceBook, protected: Mask) -> None:
    """Trade the cheapest kept tokens for the dropped ones of most gain, until hardly any trade pays.

    Prices are exact for one token at a time only. So each round tries many trades at once, undoes them when the total
    got worse, and then tries half as many.
    """
    for _ in range(_MAX_ROUNDS):
        before = book.total_tokens
        trade(book, protected, book.gains(~book.kept), _SHARE)
        if before - book.total_tokens <= before * _MIN_SAVING:
            return


def trade(book: PriceBook, protected: Mask, gains: Ints, share: float) -> None:
    """Make the best `share` of the trades that seem to pay; while they do not, undo them and try half as many."""
    incoming = np.flatnonzero(~book.kept & (gains > 0))
    incoming = incoming[np.lexsort((incoming, -gains[incoming]))]
    outgoing = _cheapest(book, protected, incoming.size)
    incoming = incoming[: outgoing.size]
    n = int(np.count_nonzero(gains[incoming] > book.prices[outgoing]) * share)
    before = book.total_tokens
    while n > 0:
        book.change(drop=outgoing[:n], restore=incoming[:n])
        if book.total_tokens < before:
            return
        book.change(drop=incoming[:n], restore=outgoing[:n])
        n //= 2
