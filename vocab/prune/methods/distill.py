"""`distill`: drop the worst few by exact price, price again, and in the end exchange what was dropped in error.

The idea is TokenMonster's (drop the worst, score again, revive what is missed); the score here is the exact change
in tokens that the shipped encoder would produce, not a count of uses.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vocab.prune.methods.pricing import PriceBook

# Share of the surplus dropped before prices are brought up to date, and the least number of tokens in a slice.
_SLICE = 0.2
_MIN_SLICE = 64
# Exchanges stop when a round saves less than this share of all tokens.
_MIN_SAVING = 2e-5
_MAX_ROUNDS = 30
_SHARE = 0.5

Tokens = npt.NDArray[np.int64]


def distill(
    book: PriceBook,
    n_keep: int,
    protected: npt.NDArray[np.bool_],
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Drop tokens of `book` until `n_keep` live, never a protected one (bool a token); changes the book.

    `on_progress` hears (tokens dropped, tokens to drop). Raises ValueError when more than `n_keep` are protected.
    """
    drop_cheapest(book, n_keep, protected, on_progress)
    exchange(book, protected)


def drop_cheapest(
    book: PriceBook,
    n_keep: int,
    protected: npt.NDArray[np.bool_],
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """The first half of `distill`: drop tokens slice by slice and trade none back."""
    to_drop = book.n_alive - n_keep
    while (surplus := book.n_alive - n_keep) > 0:
        if on_progress:
            on_progress(to_drop - surplus, to_drop)
        n = min(surplus, max(_MIN_SLICE, int(surplus * _SLICE)))
        cheapest = _cheapest(book, protected, n)
        if cheapest.size == 0:
            raise ValueError(f"{n_keep} tokens cannot be kept: {book.n_alive} are protected")
        book.change(drop=cheapest)


def _cheapest(book: PriceBook, protected: npt.NDArray[np.bool_], n: int) -> Tokens:
    """The n live tokens of lowest price; of equal ones the later ranks go first."""
    ids = np.flatnonzero(book.alive & ~protected)
    return ids[np.lexsort((-ids, book.prices[ids]))[:n]]


def exchange(book: PriceBook, protected: npt.NDArray[np.bool_]) -> None:
    """Trade the cheapest live tokens for the dropped ones of most gain until hardly any trade pays.

    Prices are exact for one token at a time only, so each round tries many trades at once, takes them back when the
    total got worse, and then tries half as many.
    """
    for _ in range(_MAX_ROUNDS):
        before = book.total_tokens
        trade(book, protected, book.gains(~book.alive), _SHARE)
        if before - book.total_tokens <= before * _MIN_SAVING:
            return


def trade(book: PriceBook, protected: npt.NDArray[np.bool_], gains: Tokens, share: float) -> None:
    """Make the best `share` of the trades that seem to pay; while they do not, undo them and try half as many."""
    incoming = np.flatnonzero(~book.alive & (gains > 0))
    incoming = incoming[np.lexsort((incoming, -gains[incoming]))]
    outgoing = _cheapest(book, protected, incoming.size)
    incoming = incoming[: outgoing.size]
    n = int(np.count_nonzero(gains[incoming] > book.prices[outgoing]) * share)
    before = book.total_tokens
    while n > 0:
        book.change(drop=outgoing[:n], revive=incoming[:n])
        if book.total_tokens < before:
            return
        book.change(drop=incoming[:n], revive=outgoing[:n])
        n //= 2
