"""The head and its loss: hidden states to nats a token, without ever holding all logits.

Heads by name: `chunked` (the default, everywhere), `plain` (all logits at once), `compiled` (plain under
torch.compile), `torch` (F.linear_cross_entropy), `liger` and `cce`, where their packages are installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from vocab.errors import TrainingError

IGNORED = -100  # a target that counts for nothing
# Tokens whose logits are held at a time: fixed, so that sums run in the same order whatever the batch.
CHUNK_TOKENS = 1024


class Nats(NamedTuple):
    """Cross-entropy in nats.

    Attributes:
        total: the sum over all targets, with gradients.
        each: (N,) float32 of each target, without gradients, 0 where it is ignored; None when a head gives no more
            than the sum.
    """

    total: Tensor
    each: Tensor | None


# Nats from hidden states (N, width), the head's weight (n_ids, width) and targets (N,) int64.
HeadLoss = Callable[[Tensor, Tensor, Tensor], Nats]


class _Chunked(torch.autograd.Function):
    """Computes gradients together with the loss, a chunk at a time: no logits outlive their chunk (as in Liger)."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(hidden.device.type, enabled=False):
            matrix = weight.to(hidden.dtype)
            wants = any(ctx.needs_input_grad[:2])
            each = torch.empty(targets.shape, dtype=torch.float32, device=hidden.device)
            grad_hidden = torch.empty_like(hidden) if wants else None
            # Summed over chunks in float32, whatever the weight is held in.
            grad_weight = torch.zeros(weight.shape, device=weight.device) if wants else None
            for first in range(0, targets.shape[0], CHUNK_TOKENS):
                part = slice(first, first + CHUNK_TOKENS)
                each[part], logits = _chunk(hidden[part], matrix, targets[part])
                if grad_hidden is not None and grad_weight is not None:
                    slope = logits.to(hidden.dtype)
                    grad_hidden[part] = slope @ matrix
                    _add_product(grad_weight, slope, hidden[part])
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.weight_dtype = weight.dtype
        ctx.mark_non_differentiable(each)
        return each.sum(), each

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grads[0], (grad_weight * grads[0]).to(ctx.weight_dtype), None


def _chunk(hidden: Tensor, matrix: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Nats (n,) of a chunk, and the gradient (n, n_ids) of their sum by the logits; float32, with one exponential."""
    logits = (hidden @ matrix.T).float()
    known = targets != IGNORED
    index = targets.clamp(min=0)[:, None]
    logits.sub_(logits.amax(dim=-1, keepdim=True))
    chosen = logits.gather(1, index)
    slope = logits.exp_()
    total = slope.sum(dim=-1, keepdim=True)
    each = (total.log() - chosen).squeeze(1) * known
    slope.mul_(known[:, None] / total)
    slope.scatter_add_(1, index, -known[:, None].to(slope.dtype))
    return each, slope


def _add_product(total: Tensor, slope: Tensor, hidden: Tensor) -> None:
    """Add slopeᵀ · hidden to `total`, the gradient of the matrix, in its precision."""
    if total.dtype == hidden.dtype:
        total.addmm_(slope.T, hidden)
    else:
        total += slope.T @ hidden


def chunked(hidden: Tensor, weight: Tensor, targets: Tensor) -> Nats:
    """Cross-entropy in chunks of CHUNK_TOKENS tokens."""
    return Nats(*_Chunked.apply(hidden, weight, targets))  # type: ignore[no-untyped-call]


def plain(hidden: Tensor, weight: Tensor, targets: Tensor) -> Nats:
    """Cross-entropy of all logits at once, in float32."""
    logits = F.linear(hidden, weight.to(hidden.dtype)).float()
    each = F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="none")
    return Nats(each.sum(), each.detach())


def _compiled() -> HeadLoss:
    return torch.compile(plain, dynamic=False)  # each size of vocabulary has kernels of its own


def _torch() -> HeadLoss:
    def of_torch(hidden: Tensor, weight: Tensor, targets: Tensor) -> Nats:
        matrix = weight.to(hidden.dtype)
        total = F.linear_cross_entropy(hidden, matrix, targets, ignore_index=IGNORED, reduction="sum")
        return Nats(total, None)

    if not hasattr(F, "linear_cross_entropy"):
        raise TrainingError(f"head torch needs torch 2.13 for linear_cross_entropy; this is {torch.__version__}")
    return of_torch


def _liger() -> HeadLoss:
    try:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss
    except ImportError:
        raise TrainingError("head liger is not installed: pip install liger-kernel (needs an NVIDIA GPU)") from None
    loss = LigerFusedLinearCrossEntropyLoss(ignore_index=IGNORED, reduction="sum")

    def of_liger(hidden: Tensor, weight: Tensor, targets: Tensor) -> Nats:
        return Nats(loss(weight.to(hidden.dtype), hidden, targets), None)

    return of_liger


def _cce() -> HeadLoss:
    try:
        from cut_cross_entropy import linear_cross_entropy
    except ImportError:
        raise TrainingError("head cce is not installed: pip install cut-cross-entropy (needs an NVIDIA GPU)") from None

    def of_cce(hidden: Tensor, weight: Tensor, targets: Tensor) -> Nats:
        matrix = weight.to(hidden.dtype)
        each = linear_cross_entropy(hidden, matrix, targets, ignore_index=IGNORED, reduction="none")
        return Nats(each.sum(), each.detach().float())

    return of_cce


HEADS: Mapping[str, Callable[[], HeadLoss]] = MappingProxyType(
    {
        "chunked": lambda: chunked,
        "plain": lambda: plain,
        "compiled": _compiled,
        "torch": _torch,
        "liger": _liger,
        "cce": _cce,
    }
)


def head_loss(name: str) -> HeadLoss:
    """A head's loss by name; raises TrainingError for an unknown one, or one whose package is missing."""
    if name not in HEADS:
        raise TrainingError(f"unknown head {name!r}; there are: {', '.join(HEADS)}")
    return HEADS[name]()


def least_cross_entropy(logits: Tensor, targets: Tensor, teachers: Sequence[Tensor]) -> Tensor:
    """The least of −log p(target) and, for each teacher's probabilities q, −Σ q log p.

    Args:
        logits: (N, n_ids).
        targets: (N,) int64.
        teachers: each teacher's probabilities (N, n_ids).

    Returns:
        Nats (N,), 0 where the target is ignored.
    """
    logs = logits.float().log_softmax(dim=-1)
    known = targets != IGNORED
    losses = [-logs.gather(1, targets.clamp(min=0)[:, None]).squeeze(1)]
    losses += [-(probabilities.float() * logs).sum(dim=-1) for probabilities in teachers]
    return torch.stack(losses).min(dim=0).values * known


def distilled(hidden: Tensor, weight: Tensor, targets: Tensor, teachers: Sequence[Tensor]) -> Nats:
    """The sum of `least_cross_entropy`, with gradients, and the nats of each target with the text, without."""
    logits = F.linear(hidden, weight.to(hidden.dtype))
    least = least_cross_entropy(logits, targets, teachers)
    with torch.no_grad():
        each = F.cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="none")
    return Nats(least.sum(), each)
