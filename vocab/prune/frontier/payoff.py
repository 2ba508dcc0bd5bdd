"""Where one more token stops paying: what a larger vocabulary saves against what its output head computes.

A decoder computes in proportion to its parameters for each token, those of the output head among them. With n ids of
width d over a body of B parameters, a text of T(n) tokens costs (B + n·d)·T(n): a further id makes every token dearer
by d / (B + n·d) and pays as long as it saves a larger share of the tokens. The least cost lies where both are equal.

Sources: compute in proportion to parameters times tokens, and B ≈ 12 · layers · d², Kaplan et al. 2020
(arXiv 2001.08361); the head counted with the vocabulary, Tao et al. 2024 (arXiv 2407.13623). Left out: the part of
attention that grows with the context, and whatever a vocabulary does to the quality of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

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
    """Where the same text costs a decoder least, among the sizes measured.

    Attributes:
        n_ids: the size of least compute; a further token costs more than it saves.
        from_n_ids: the smallest size around it whose compute is at most 1% more.
        to_n_ids: the largest such size.
        is_last: whether `n_ids` is the largest size, so that every token measured pays.
        costs: compute at each size against the least, 1.0 there.
        least: compute at `n_ids`, in parameters times tokens.
    """

    n_ids: int
    from_n_ids: int
    to_n_ids: int
    is_last: bool
    costs: list[float]
    least: int


def payoff(sizes: Sequence[int], tokens: Sequence[int], model: ComputeModel) -> Payoff:
    """Find where the same text costs a model least: `tokens` of it at each of the rising `sizes`.

    Of sizes of equal cost the smaller one counts as the least.
    """
    costs = [model.n_parameters(size) * n for size, n in zip(sizes, tokens, strict=True)]
    least = costs.index(min(costs))
    near = [cost <= costs[least] * (1 + TOLERANCE) for cost in costs]
    first = max((k + 1 for k in range(least) if not near[k]), default=0)
    last = min((k - 1 for k in range(least, len(near)) if not near[k]), default=len(near) - 1)
    return Payoff(
        n_ids=sizes[least],
        from_n_ids=sizes[first],
        to_n_ids=sizes[last],
        is_last=least == len(sizes) - 1,
        least=costs[least],
        costs=[cost / costs[least] if costs[least] else 1.0 for cost in costs],
    )


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
