"""The lower bound under a whole curve, from prices searched for at a few sizes; each of them bounds every size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import log

import numpy as np

from vocab.prune.bound.dual import PRUNING_STEPS, DualSearch
from vocab.prune.bound.objective import EdgePrices, Objective

# Anchors are this factor apart, from the largest down.
_SPACING = 2.0
# Prices of an anchor also serve sizes below it, where they are higher: these multiples are tried at every size.
_FACTORS = tuple(Fraction(n, 8) for n in (7, 8, 9, 10, 12, 14))

# The slope of a curve at a number is taken between this factor below and above it.
_NEAR = 1.2

DEFAULT_STEPS = 20


def bounds_at(
    objective: Objective,
    numbers: Sequence[int],
    tokens: Sequence[int],
    n_steps: int = DEFAULT_STEPS,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[int]:
    """Prove how few tokens any choice of candidates needs, at several numbers of candidates.

    Prices are searched for at numbers a factor of about two apart. For every number the best of all prices is taken.

    Args:
        objective: the tokens to be minimised.
        numbers: candidates kept besides those always kept, rising.
        tokens: tokens that some choice needs at each number. The search begins near them; no bound depends on them.
        n_steps: steps of the search at each number searched; 0 for the bound that needs no search.
        on_progress: is called with steps done and all steps.

    Returns:
        Tokens at least, for each of `numbers`; the same on any number of threads.
    """
    report = on_progress or (lambda done, total: None)
    nothing = np.empty(0, dtype=np.int64)
    best = objective.spread(EdgePrices(nothing, nothing, objective.unit))
    best[0] = objective.tokens(objective.is_free) * objective.unit
    anchors = _anchors(numbers, best.size - 1) if n_steps else []
    for k, n_select in enumerate(anchors):
        dual = DualSearch(replace(objective, n_select=n_select), _threshold(numbers, tokens, n_select))
        for step in range(n_steps):
            report(k * n_steps + step, len(anchors) * n_steps)
            dual.step()
            if dual.n_steps in PRUNING_STEPS:
                dual.bound()
        prices = dual.bound().prices
        for factor in _FACTORS:
            best = np.maximum(best, objective.spread(prices, factor))
    return [-(-int(best[n]) // objective.unit) for n in numbers]


def _anchors(numbers: Sequence[int], n_candidates: int) -> list[int]:
    """Numbers to search at: of equal ratio from the least to the last; keeping all candidates needs no price."""
    first, last = max(1, numbers[0]), max(1, numbers[-1])
    n = max(1, round(log(last / first, _SPACING)))
    return sorted({round(first * (last / first) ** (k / n)) for k in range(n + 1)} - {n_candidates})


def _threshold(numbers: Sequence[int], tokens: Sequence[int], n_select: int) -> float:
    """About what one more candidate saves: the slope of tokens around a number."""
    lowest = np.minimum.accumulate(np.array(tokens, dtype=np.float64))
    below, above = np.interp([n_select / _NEAR, n_select * _NEAR], numbers, lowest)
    return float(below - above) / (n_select * (_NEAR - 1 / _NEAR))
