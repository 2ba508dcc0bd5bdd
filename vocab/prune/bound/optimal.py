"""`optimal`: from the search for a lower bound to a vocabulary near it, by rounding and exact exchanges.

Every few steps the bound is computed in whole numbers, and the tokens that the search holds most open become a
vocabulary, which exchanges under exact prices improve. It ends when the best vocabulary is within a gap of the bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vocab.prune.bound.dual import PRUNING_STEPS, DualSearch
from vocab.prune.bound.objective import Alive, Bound, EdgePrices, Objective
from vocab.prune.methods.distill import trade
from vocab.prune.methods.pricing import PriceBook

# Share above the bound at which to stop, and the most steps.
DEFAULT_GAP = 1e-4
MAX_STEPS = 310
# The bound is computed after each so many times more steps, and exchanges are tried from this one on.
_GROWTH = 1.4
_FIRST_EXCHANGE = 70
# Nothing more is to be had when both ends together close less than this share of the gap.
_LEAST_PROGRESS = 0.05
_SHARE = 0.25
# The price of the last token kept is that of the hundredth part from below.
_MARGIN = 100
_MAX_ROUNDS = 30
_LEAST_SAVING = 2e-7

# Hears (bound in tokens, best in tokens, steps done, steps at most).
Listener = Callable[[int, int, int, int], None]


@dataclass
class Limits:
    """When to stop: a share above the bound, and seconds from now (which make a result depend on the machine)."""

    gap: float = DEFAULT_GAP
    seconds: float | None = None
    max_steps: int = MAX_STEPS

    def __post_init__(self) -> None:
        self._started = time.monotonic()

    @property
    def is_out_of_time(self) -> bool:
        """Whether the seconds are over."""
        return self.seconds is not None and time.monotonic() - self._started >= self.seconds


@dataclass
class Found:
    """The best bound and the best vocabulary so far, and whether Ctrl-C or the time ended the search."""

    bound: Bound
    alive: Alive
    tokens: int
    n_steps: int = 0
    stopped_by: str = "steps"

    @property
    def gap(self) -> float:
        """How far the vocabulary is above the bound, as a share."""
        return self.bound.gap(self.tokens)

    def offer(self, alive: Alive, tokens: int) -> None:
        """Take a vocabulary if it is better."""
        if tokens < self.tokens:
            self.alive, self.tokens = alive.copy(), tokens


def search(
    objective: Objective,
    book: PriceBook,
    limits: Limits,
    on_progress: Listener | None = None,
) -> Found:
    """Search for the best bound and the best vocabulary, from the one that lives in `book`, which is changed.

    The book prices tokens under least-tokens on the same counts. Ctrl-C ends the search and keeps what it has. Without
    `limits.seconds` the result is the same on any machine with the same floating point, on any number of threads.
    """
    nothing = np.empty(0, dtype=np.int64)
    trivial, _ = objective.bound(EdgePrices(nothing, nothing, objective.unit))
    found = Found(trivial, book.alive.copy(), objective.tokens(book.alive))
    try:
        found.stopped_by = _search(objective, book, limits, found, on_progress or (lambda *_: None))
    except KeyboardInterrupt:
        found.stopped_by = "Ctrl-C"
    return found


def _search(objective: Objective, book: PriceBook, limits: Limits, found: Found, hear: Listener) -> str:
    """Improve `found` until a limit; returns which."""
    if found.gap <= limits.gap:
        return "gap"
    dual = DualSearch(objective, _marginal_price(book, objective.is_free))
    next_look = PRUNING_STEPS[0]
    while True:
        hear(found.bound.tokens, found.tokens, dual.n_steps, limits.max_steps)
        dual.step()
        found.n_steps = dual.n_steps
        is_last = dual.n_steps >= limits.max_steps or limits.is_out_of_time
        if dual.n_steps < next_look and not is_last:
            continue
        before = found.gap
        _look(objective, dual, book if dual.n_steps >= _FIRST_EXCHANGE or is_last else None, limits, found)
        if found.gap <= limits.gap:
            return "gap"
        if limits.is_out_of_time:
            return "time"
        if is_last or (dual.n_steps > _FIRST_EXCHANGE + 10 and before - found.gap < _LEAST_PROGRESS * before):
            return "steps"
        later = [n for n in PRUNING_STEPS if n > dual.n_steps] or [int(dual.n_steps * _GROWTH)]
        next_look = min(limits.max_steps, later[0])


def _look(objective: Objective, dual: DualSearch, book: PriceBook | None, limits: Limits, found: Found) -> None:
    """Compute the bound and round; with a book, exchange tokens of what was rounded."""
    bound = dual.bound()
    if bound.numerator > found.bound.numerator:
        found.bound = bound
    alive = dual.winners()
    found.offer(alive, objective.tokens(alive))
    if book is None or found.gap <= limits.gap:
        return
    set_alive(book, alive)
    polish(book, objective.is_free, dual.contenders(), lambda: limits.is_out_of_time)
    found.offer(book.alive, objective.tokens(book.alive))


def _marginal_price(book: PriceBook, protected: Alive) -> float:
    """About what the last token kept is worth: some prices are far lower, because others depend on one another."""
    prices = np.sort(book.prices[book.alive & ~protected])
    return float(prices[prices.size // _MARGIN]) if prices.size else 1.0


def set_alive(book: PriceBook, alive: Alive) -> None:
    """Drop and revive tokens until `alive` is what lives."""
    book.change(drop=np.flatnonzero(book.alive & ~alive), revive=np.flatnonzero(alive & ~book.alive))


def polish(book: PriceBook, protected: Alive, contenders: Alive, is_over: Callable[[], bool] = lambda: False) -> None:
    """Trade cheap live tokens for dropped contenders of more gain, under exact prices, until no trade pays."""
    for _ in range(_MAX_ROUNDS):
        before = book.total_tokens
        trade(book, protected, book.gains(contenders), _SHARE)
        if before - book.total_tokens <= before * _LEAST_SAVING or is_over():
            return
