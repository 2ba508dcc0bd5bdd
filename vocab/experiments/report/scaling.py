"""How large a vocabulary should be as the model grows: parameters, memory and FLOPs by part, and a published law.

Tao et al. 2024, "Scaling Laws with Vocabulary: Larger Models Deserve Larger Vocabularies" (arXiv 2407.13623), find that
the best parameters in the embedding grow as the power 0.83 of the parameters outside it (from derivatives of FLOPs,
where data grow with the model). The constant is set by the example of their abstract: 216,000 ids for Llama 2 70B.
"""

from __future__ import annotations

from dataclasses import dataclass

TAO_POWER = 0.83
TAO_SOURCE = "Tao et al. 2024, arXiv 2407.13623"
# Llama 2 70B: parameters outside embedding and head, width, and the size predicted for it.
_TAO_BODY, _TAO_WIDTH, _TAO_IDS = 68.45e9, 8192, 216_000


@dataclass(frozen=True)
class HeadCost:
    """The cost of embedding, head and loss at one size.

    Attributes:
        n_ids: the size.
        n_parameters: of embedding and head.
        share_of_parameters: their share of all parameters.
        share_of_flops: the head's share of the FLOPs of matrix products.
        weight_bytes: their weights, gradients and AdamW's two moments, all float32.
        logit_bytes: logits of the given number of tokens, float32.
    """

    n_ids: int
    n_parameters: int
    share_of_parameters: float
    share_of_flops: float
    weight_bytes: int
    logit_bytes: int


def predicted_size(n_body: float, width: int) -> float:
    """The best number of ids by Tao et al. for a model of `n_body` parameters outside the embedding, at a width."""
    best: float = _TAO_IDS * _TAO_WIDTH * (n_body / _TAO_BODY) ** TAO_POWER
    return best / width


def head_cost(n_ids: int, width: int, n_body: int, n_tokens: int, *, tied: bool) -> HeadCost:
    """The cost of a size.

    Args:
        n_ids: the size.
        width: of the model.
        n_body: the model's parameters outside embedding and head.
        n_tokens: tokens whose logits are held at once.
        tied: whether embedding and head are one matrix.
    """
    matrix = n_ids * width
    n_parameters = matrix * (1 if tied else 2)
    return HeadCost(
        n_ids=n_ids,
        n_parameters=n_parameters,
        share_of_parameters=n_parameters / (n_parameters + n_body),
        share_of_flops=matrix / (matrix + n_body),
        weight_bytes=16 * n_parameters,
        logit_bytes=4 * n_ids * n_tokens,
    )
