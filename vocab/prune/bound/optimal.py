"""`optimal`: from the search for a lower bound to a vocabulary near it, by rounding and exact exchanges.

Every few steps the bound is computed in whole numbers. The tokens that the search holds most open become a vocabulary,
which exchanges under exact prices improve. The search ends when the best vocabulary is within a gap of the bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vocab.arrays import Mask
from vocab.prune.bound.dual import PRUNING_STEPS, DualSearch
from vocab.prune.bound.limits import Deadline, Limits
from vocab.prune.bound.objective import Bound, EdgePrices, Objective
from vocab.prune.methods.distill import trade
from vocab.prune.methods.pricing import PriceBook

# The bound is computed each time that the number of steps has grown by this factor, and exchanges are tried from
# _FIRST_EXCHANGE on.
_GROWTH = 1.4
_FIRST_EXCHANGE = 70
# The search ends when bound and vocabulary together close less than this share of the gap.
_LEAST_PROGRESS = 0.05
_SHARE = 0.25
# The price of the last token kept is that of the hundredth part from below.
_MARGIN = 100
_MAX_ROUNDS = 30
_LEAST_SAVING = 2e-7

# Called with the bound in tokens, the tokens of the best vocabulary, steps done and steps at most.
OnStep = Callable[[int, int, int, int], None]


@dataclass
class SearchResult:
    """The best bound and the best vocabulary so far.

    Attributes:
        bound: the highest bound, with the prices that prove it.
        kept: tokens of the best vocabulary, bool[n_tokens].
        tokens: tokens of the corpus with that vocabulary under least-tokens.
        n_steps: steps done.
        stopped_by: "gap", "time", "steps" or "Ctrl-C".
    """

    bound: Bound
    kept: Mask
    tokens: int
    n_steps: int = 0
    stopped_by: str = "steps"

    @property
    def gap(self) -> float:
        """How far the vocabulary is above the bound, as a share."""
        return self.bound.gap(self.tokens)

    def offer(self, kept: Mask, tokens: int) -> None:
        """Take a vocabulary if it is better."""
        if tokens < self.tokens:
            self.kept, self.tokens = kept.copy(), tokens


def search(
    objective: Objective,
    book: PriceBook,
    limits: Limits,
    on_step: OnStep | None = None,
    deadline: Deadline | None = None,
) -> SearchResult:
    """Search for the best bound and the best vocabulary, from the tokens that `book` keeps; the book is changed.

    The book prices tokens under least-tokens on the same counts. Ctrl-C ends the search, and the result is the best so
    far. Unless `limits.seconds` is given, the result is the same on any machine with the same floating point, on any
    number of threads. `deadline` replaces one that begins now.
    """
    nothing = np.empty(0, dtype=np.int64)
    trivial, _ = objective.bound(EdgePrices(nothing, nothing, objective.unit))
    result = SearchResult(trivial, book.kept.copy(), objective.tokens(book.kept))
    run = _Search(objective, book, limits, deadline or Deadline(limits.seconds), result)
    try:
        result.stopped_by = run.improve(on_step or (lambda *_: None))
    except KeyboardInterrupt:
        result.stopped_by = "Ctrl-C"
    result.bound = objective.improved(result.bound)
    return result


@dataclass
class _Search:
    """One search and what it works on; improves `result`."""

    objective: Objective
    book: PriceBook
    limits: Limits
    deadline: Deadline
    result: SearchResult

    def improve(self, on_step: OnStep) -> str:
        """Improve the result until a limit; returns which."""
        result, limits = self.result, self.limits
        if result.gap <= limits.gap:
            return "gap"
        dual = DualSearch(self.objective, _marginal_price(self.book, self.objective.is_free))
        next_look = PRUNING_STEPS[0]
        while True:
            on_step(result.bound.tokens, result.tokens, dual.n_steps, limits.max_steps)
            dual.step()
            result.n_steps = dual.n_steps
            is_last = dual.n_steps >= limits.max_steps or self.deadline.is_over
            if dual.n_steps < next_look and not is_last:
                continue
            before = result.gap
            self._look(dual, exchanges=dual.n_steps >= _FIRST_EXCHANGE or is_last)
            if limit := self._limit_reached(before, is_last=is_last):
                return limit
            later = [n for n in PRUNING_STEPS if n > dual.n_steps] or [int(dual.n_steps * _GROWTH)]
            next_look = min(limits.max_steps, later[0])

    def _limit_reached(self, gap_before: float, *, is_last: bool) -> str | None:
        """Which limit ends the search after a look, None for none."""
        gap = self.result.gap
        if gap <= self.limits.gap:
            return "gap"
        if self.deadline.is_over:
            return "time"
        is_slow = self.result.n_steps > _FIRST_EXCHANGE + 10 and gap_before - gap < _LEAST_PROGRESS * gap_before
        return "steps" if is_last or is_slow else None

    def _look(self, dual: DualSearch, *, exchanges: bool) -> None:
        """Compute the bound and round prices to a vocabulary; with `exchanges`, improve that by trading tokens."""
        objective, result = self.objective, self.result
        bound = dual.bound()
        if bound.numerator > result.bound.numerator:
            result.bound = bound
        kept = dual.winners()
        result.offer(kept, objective.tokens(kept))
        if not exchanges or result.gap <= self.limits.gap:
            return
        set_kept(self.book, kept)
        polish(self.book, objective.is_free, dual.contenders(), lambda: self.deadline.is_over)
        result.offer(self.book.kept, objective.tokens(self.book.kept))


def _marginal_price(book: PriceBook, protected: Mask) -> float:
    """About what the last token kept is worth: some prices are far lower, because tokens depend on one another."""
    prices = np.sort(book.prices[book.kept & ~protected])
    return float(prices[prices.size // _MARGIN]) if prices.size else 1.0


def set_kept(book: PriceBook, kept: Mask) -> None:
    """Drop and restore tokens until the book keeps just those in `kept` (bool[n_tokens])."""
    book.change(drop=np.flatnonzero(book.kept & ~kept), restore=np.flatnonzero(kept & ~book.kept))


def polish(book: PriceBook, protected: Mask, contenders: Mask, is_over: Callable[[], bool] = lambda: False) -> None:
    """Trade cheap kept tokens for dropped contenders of more gain, under exact prices, until no trade pays."""
    for _ in range(_MAX_ROUNDS):
        before = book.total_tokens
        trade(book, protected, book.gains(contenders), _SHARE)
        if before - book.total_tokens <= before * _LEAST_SAVING or is_over():
            return
