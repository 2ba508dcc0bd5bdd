"""Where one more token stops paying: what a larger vocabulary saves against what its output head computes.

A decoder computes in proportion to its parameters for each token, those of the output head among them. With n ids of
width d over a body of B parameters, a text of T(n) tokens costs (B + n·d)·T(n): a further id makes every token dearer
by d / (B + n·d) and pays as long as it saves a larger share of the tokens. The least cost lies where both are equal.

Sources: compute in proportion to parameters times tokens, and B ≈ 12 · layers · d², Kaplan et al. 2020
(arXiv 2001.08361); the head counted with the vocabulary, Tao et al. 2024 (arXiv 2407.13623). Left out: the part of
attention that grows with the context, and whatever a vocabulary does to the quality of the model.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log, log2

# Costs within this share of the least count as the same for all that anybody could tell.
TOLERANCE = 0.01
# A rate is taken over a step of this factor at least: nearer sizes differ by single tokens.
_APART = 1.1


@dataclass(frozen=True)
class ComputeModel:
    """The decoder that a vocabulary is for, by which its compute for a token is estimated.

    Attributes:
        width: features of a hidden state.
        n_layers: layers of the body.
    """

    width: int = 2048
    n_layers: int = 24

    @property
    def n_body(self) -> int:
        """Parameters of the body, embedding and head left out: 12 · layers · width²."""
        return 12 * self.n_layers * self.width**2

    def n_parameters(self, n_ids: int) -> int:
        """Parameters that compute for each token: the body and the output head; the embedding is only looked up."""
        return self.n_body + n_ids * self.width


@dataclass(frozen=True, kw_only=True)
class Payoff:
    """Where the same text costs a decoder least, between the smallest and the largest size measured.

    Attributes:
        n_ids: the size of least compute; a further token costs more than it saves.
        from_n_ids: the smallest size around it whose compute is at most 1% more.
        to_n_ids: the largest such size.
        is_last: whether `n_ids` is the largest size, so that every token measured pays.
        costs: compute at each size measured against the least, at least 1.0.
        least: compute at `n_ids`, in parameters times tokens.
    """

    n_ids: int
    from_n_ids: int
    to_n_ids: int
    is_last: bool
    costs: list[float]
    least: float


def payoff(sizes: Sequence[int], tokens: Sequence[int], model: ComputeModel) -> Payoff:
    """Find where the same text costs a model least, given `tokens` of it at each of the rising `sizes`.

    Between sizes, tokens are taken to fall as a power of the size. So the answer hardly depends on which were measured.
    Of sizes of equal cost the smallest counts as the least.
    """
    curve = _CostCurve(sizes, tokens, model)
    n_ids = min(curve.turning_points(), key=lambda size: (curve.cost(size), size))
    least = curve.cost(n_ids)
    return Payoff(
        n_ids=n_ids,
        from_n_ids=curve.last_below(least * (1 + TOLERANCE), n_ids, sizes[0]),
        to_n_ids=curve.last_below(least * (1 + TOLERANCE), n_ids, sizes[-1]),
        is_last=n_ids == sizes[-1],
        least=least,
        costs=[curve.cost(size) / least if least else 1.0 for size in sizes],
    )


class _CostCurve:
    """Compute of a text at any size between the first and the last measured."""

    def __init__(self, sizes: Sequence[int], tokens: Sequence[int], model: ComputeModel) -> None:
        self._sizes, self._tokens, self._model = sizes, tokens, model

    def cost(self, size: int) -> float:
        """Parameters times tokens at a size."""
        k = min(bisect_right(self._sizes, size), len(self._sizes) - 1) - 1
        n_tokens: float = self._tokens[k] * (size / self._sizes[k]) ** -self._falls(k)
        return self._model.n_parameters(size) * n_tokens

    def _falls(self, k: int) -> float:
        """The power of the size by which tokens fall from a measured size to the next; 0 for empty text."""
        more, fewer = self._tokens[k], self._tokens[k + 1]
        return log(more / fewer) / log(self._sizes[k + 1] / self._sizes[k]) if more and fewer else 0.0

    def turning_points(self) -> list[int]:
        """Sizes where compute may be least: those measured, and those where its derivative is 0."""
        found = list(self._sizes)
        for k, (first, last) in enumerate(pairwise(self._sizes)):
            power = self._falls(k)
            if 0 < power < 1:
                at = round(power * self._model.n_body / ((1 - power) * self._model.width))
                found += [at] if first < at < last else []
        return found

    def last_below(self, limit: float, start: int, end: int) -> int:
        """The last size on the way from one size to another whose cost, like all before it, is at most the limit."""
        step = 1 if end >= start else -1
        for size in sorted((size for size in self._sizes if (size - start) * step > 0), reverse=step < 0):
            if self.cost(size) > limit:
                return self._between(limit, start, size)
            start = size
        return start

    def _between(self, limit: float, below: int, above: int) -> int:
        """Bisect for the last size with a cost of at most the limit, from one below it to one above it."""
        while abs(above - below) > 1:
            middle = (below + above) // 2
            below, above = (middle, above) if self.cost(middle) <= limit else (below, middle)
        return below


def saved_per_id(sizes: Sequence[int], tokens: Sequence[int]) -> list[float | None]:
    """Tokens that one more id saves on average, from each size to the next; None at the last size."""
    steps = zip(sizes, sizes[1:], tokens, tokens[1:], strict=False)
    return [*((more - less) / (b - a) for a, b, more, less in steps), None]


def saved_by_doubling(sizes: Sequence[int], tokens: Sequence[int]) -> list[float | None]:
    """Share of the tokens that twice the ids would save, at the rate from each size on.

    The rate comes from each size and the next that is at least a tenth larger; None where there is none. Tokens are
    taken to fall as a power of the size.
    """
    rates: list[float | None] = []
    for k, size in enumerate(sizes):
        ahead = next((j for j in range(k + 1, len(sizes)) if sizes[j] >= _APART * size), None)
        ratio = tokens[ahead] / tokens[k] if ahead and tokens[k] else 1.0
        rates.append(1 - ratio ** (1 / log2(sizes[ahead] / size)) if ahead else None)
    return rates
