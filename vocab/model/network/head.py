"""The head and its loss: hidden states to nats a token, without ever holding all logits.

Heads by name: `chunked` (the default; its chunks are compiled on a GPU), `plain` (all logits at once), `compiled`
(plain under torch.compile), `torch` (F.linear_cross_entropy), `liger` and `cce`, where their packages are installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
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
# From a part of the N positions of a batch to a teacher's probabilities (n, n_ids) there, float32.
TeacherOfPart = Callable[[slice], Tensor]


class _Chunked(torch.autograd.Function):
    """Computes gradients together with the loss, a chunk at a time: no logits outlive their chunk (as in Liger)."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, teachers: Sequence[TeacherOfPart]
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(hidden.device.type, enabled=False):
            matrix = weight.to(hidden.dtype)
            wants = any(ctx.needs_input_grad[:2])
            losses, each = torch.empty(2, *targets.shape, dtype=torch.float32, device=hidden.device)
            grad_hidden = torch.empty_like(hidden) if wants else None
            # Summed over chunks in float32, whatever the weight is held in.
            grad_weight = torch.zeros(weight.shape, device=weight.device) if wants else None
            for first in range(0, targets.shape[0], CHUNK_TOKENS):
                part = slice(first, first + CHUNK_TOKENS)
                shares = [teacher(part) for teacher in teachers]
                losses[part], each[part], logits = _chunk(hidden[part], matrix, targets[part], shares)
                if grad_hidden is not None and grad_weight is not None:
                    slope = logits.to(hidden.dtype)
                    grad_hidden[part] = slope @ matrix
                    _add_product(grad_weight, slope, hidden[part])
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.weight_dtype = weight.dtype
        ctx.mark_non_differentiable(each)
        return losses.sum(), each

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grads[0], (grad_weight * grads[0]).to(ctx.weight_dtype), None, None


def _chunk(hidden: Tensor, matrix: Tensor, targets: Tensor, shares: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Losses (n,) of a chunk, its nats (n,) with the text, and the gradient (n, n_ids) of the losses by the logits.

    All float32. `shares` are each teacher's probabilities (n, n_ids).
    """
    if shares:
        return _distilled_chunk(hidden, matrix, targets, shares)
    # A rest has another size each time, which would be compiled anew.
    compiled = hidden.is_cuda and hidden.shape[0] == CHUNK_TOKENS
    each, slope = (_compiled_text_chunk() if compiled else _text_chunk)(hidden, matrix, targets)
    return each, each, slope


def _text_chunk(hidden: Tensor, matrix: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Nats of a chunk with the text and their gradient, with one exponential."""
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


@cache
def _compiled_text_chunk() -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The same in four kernels on a GPU instead of 37, compiled once for each size of vocabulary."""
    return torch.compile(_text_chunk, dynamic=False, fullgraph=True)


def _distilled_chunk(
    hidden: Tensor, matrix: Tensor, targets: Tensor, shares: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """As `_text_chunk`, with the least of the cross-entropies with the text and with each teacher."""
    logs = (hidden @ matrix.T).float().log_softmax(dim=-1)
    known = targets != IGNORED
    index = targets.clamp(min=0)[:, None]
    text = -logs.gather(1, index).squeeze(1)
    losses = torch.stack([text, *(-(share * logs).sum(dim=-1) for share in shares)])
    least, chosen = losses.min(dim=0)
    slope = logs.exp_()
    for number, share in enumerate(shares, 1):
        slope -= share * (chosen == number)[:, None]
    slope.scatter_add_(1, index, -(chosen == 0)[:, None].to(slope.dtype))
    return least * known, text * known, slope.mul_(known[:, None])


def _add_product(total: Tensor, slope: Tensor, hidden: Tensor) -> None:
    """Add slopeᵀ · hidden to `total`, the gradient of the matrix, in its precision."""
    if total.dtype == hidden.dtype:
        total.addmm_(slope.T, hidden)
    else:
        total += slope.T @ hidden


def chunked(hidden: Tensor, weight: Tensor, targets: Tensor) -> Nats:
    """Cross-entropy in chunks of CHUNK_TOKENS tokens, which are compiled on a GPU."""
    return distilled(hidden, weight, targets, ())


def distilled(hidden: Tensor, weight: Tensor, targets: Tensor, teachers: Sequence[TeacherOfPart]) -> Nats:
    """The least, token by token, of −log p(target) and of −Σ q log p for each teacher's probabilities q.

    Computed in chunks of CHUNK_TOKENS tokens. `total` is their sum, with gradients; `each` are the nats of each target
    with the text, without.
    """
    return Nats(*_Chunked.apply(hidden, weight, targets, teachers))  # type: ignore[no-untyped-call]


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
