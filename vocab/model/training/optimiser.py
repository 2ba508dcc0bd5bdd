"""AdamW in one kernel; matrices decay, norms do not."""

from __future__ import annotations

import torch
from torch import nn

from vocab.model.training.settings import TrainSettings


def adamw(model: nn.Module, settings: TrainSettings, *, epsilon: float = 1e-8) -> torch.optim.AdamW:
    """Fused AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101) over all weights of a model that are trained.

    A weight whose gradients are far below `epsilon` hardly moves.
    """
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    betas = (settings.beta1, settings.beta2)
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas, eps=epsilon, fused=True)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Use this learning rate from now on."""
    for group in optimiser.param_groups:
        group["lr"] = rate
