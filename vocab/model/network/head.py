"""The head and its loss: hidden states to nats a token without ever holding all logits; bits per byte.

Heads by name: `chunked` (the default, everywhere), `plain` (all logits at once), `compiled` (plain under
torch.compile), `torch` (F.linear_cross_entropy), `liger` and `cce`, where their packages are installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from vocab.errors import TrainingError
from vocab.model.network.decoder import Decoder

IGNORED = -100  # a target that counts for nothing
# Tokens whose logits are held at a time: fixed, so that sums run in the same order whatever the batch.
CHUNK_TOKENS = 1024


class Nats(NamedTuple):
    """Cross-entropy in nats: the sum over all targets, which has gradients, and of each target, which has none.

    `each` is (N,) float32, 0 where a target is ignored; None where the implementation gives the sum alone.
    """

    total: Tensor
    each: Tensor | None


HeadLoss = Callable[[Tensor, Tensor, Tensor], Nats]  # hidden (N, width), weight (n_ids, width), targets (N,) int64


def bits_per_byte(nats: float, n_bytes: int) -> float:
    """Σ nats / (ln 2 · Σ bytes of the source text); special tokens belong in neither sum. NaN without text."""
    return nats / (math.log(2) * n_bytes) if n_bytes else math.nan


class _Chunked(torch.autograd.Function):
    """Gradients are made beside the loss, a chunk at a time, so that no logits outlive their chunk (as in Liger)."""

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
    """Nats (n,) of some tokens and the gradient (n, n_ids) of their sum by the logits, float32, by one exponential."""
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
    """Add slopeᵀ · hidden to the gradient of the matrix, in the precision of the latter."""
    if total.dtype == hidden.dtype:
        total.addmm_(slope.T, hidden)
    else:
        total += slope.T @ hidden


def chunked(hidden: Tensor, weight: Tensor, targets: Tensor) -> Nats:
    """Cross-entropy by chunks of CHUNK_TOKENS tokens."""
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
        raise TrainingError(f"there is no head {name!r}; there are: {', '.join(HEADS)}")
    return HEADS[name]()


class LanguageModel(nn.Module):
    """A decoder with its head: ids and targets to nats."""

    def __init__(self, decoder: Decoder, head: str = "chunked") -> None:
        super().__init__()
        self.decoder = decoder
        self.trunk: Callable[..., Tensor] = decoder.trunk  # what may be compiled
        self.loss = head_loss(head)

    def forward(
        self,
        ids: Tensor,
        targets: Tensor,
        documents: Tensor | None = None,
        teachers: Sequence[Tensor] | None = None,
    ) -> Nats:
        """Nats of `targets` (B, T) after `ids` (B, T), int64; IGNORED counts for nothing.

        With probabilities of `teachers`, (B · T, n_ids) each, the sum is that of `vocab.model.training.distillation`.
        """
        hidden = self.trunk(self.decoder.embed(ids), documents)
        if teachers:
            from vocab.model.training.distillation import distilled

            return distilled(hidden.flatten(0, 1), self.decoder.head_weight, targets.flatten(), teachers)
        return self.loss(hidden.flatten(0, 1), self.decoder.head_weight, targets.flatten())
