"""AdamW in one kernel, or Muon for the matrices of the blocks and AdamW for the rest; matrices decay, norms do not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vocab.model.training.settings import TrainSettings

_ADAMW_MOMENTS, _MUON_MOMENTS = ("exp_avg", "exp_avg_sq"), ("momentum_buffer",)
# The part of a decoder whose matrices Muon trains, and the matrix that `embedding_rate` is of.
_BLOCKS, _EMBEDDING = "blocks.", "embedding.weight"


@dataclass(frozen=True)
class Optimisers:
    """Optimisers of weights that are apart, which step together.

    Attributes:
        parts: AdamW, perhaps with Muon after it.
    """

    parts: tuple[torch.optim.Optimizer, ...]

    def step(self) -> None:
        """Change all weights by their gradients."""
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        """Forget the gradients of all weights."""
        for part in self.parts:
            part.zero_grad()

    def set_learning_rate(self, rate: float) -> None:
        """Use this learning rate from now on, times that of each group of weights."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = rate * group["rate"]

    def moments(self, weight: Tensor) -> dict[str, Tensor]:
        """The moments of a weight by name; those that are not there yet are created, as zeros."""
        part = next(part for part in self.parts if any(weight is known for known in _weights(part)))
        state = part.state[weight]
        names = _MUON_MOMENTS if isinstance(part, torch.optim.Muon) else _ADAMW_MOMENTS
        if not state:
            if names is _ADAMW_MOMENTS:
                state["step"] = torch.tensor(0.0, device=weight.device if weight.is_cuda else None)
            state |= {name: torch.zeros_like(weight, requires_grad=False) for name in names}
        return {name: state[name] for name in names}

    def set_step(self, step: int) -> None:
        """Go on as after so many steps, which AdamW corrects its moments by."""
        for part in self.parts:
            for state in part.state.values():
                if "step" in state:
                    state["step"].fill_(step)


def _weights(part: torch.optim.Optimizer) -> Iterable[Tensor]:
    for group in part.param_groups:
        yield from group["params"]


def optimisers(model: nn.Module, settings: TrainSettings, *, epsilon: float = 1e-8) -> Optimisers:
    """The optimisers of all weights of a model that are trained.

    "muon" trains the matrices of the blocks by Muon (Jordan et al. 2024) and all other weights by AdamW. Muon's rate of
    a matrix is the learning rate times 0.2 · √(longer side), so that its steps are as large as those of AdamW at any
    width (Liu et al. 2025, arXiv 2502.16982): a rate that was tuned for AdamW serves both.

    Args:
        model: to train, on its device and, for several processes, sharded.
        settings: of the run.
        epsilon: a weight whose gradients are far below it hardly moves under AdamW.
    """
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    if settings.optimizer == "adamw":
        return Optimisers((_adamw(named, settings, epsilon),))
    of_blocks = {name for name, weight in named if _BLOCKS in name and weight.ndim == 2}
    rest = [(name, weight) for name, weight in named if name not in of_blocks]
    return Optimisers((_adamw(rest, settings, epsilon), _muon([w for n, w in named if n in of_blocks], settings)))


def _adamw(named: Sequence[tuple[str, Tensor]], settings: TrainSettings, epsilon: float) -> torch.optim.Optimizer:
    """Fused AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101)."""
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, weight in named:
        decay = settings.weight_decay if weight.ndim > 1 else 0.0
        rate = settings.embedding_rate if name.endswith(_EMBEDDING) else 1.0
        groups.setdefault((decay, rate), []).append(weight)
    listed = [{"params": weights, "weight_decay": decay, "rate": rate} for (decay, rate), weights in groups.items()]
    betas = (settings.beta1, settings.beta2)
    return torch.optim.AdamW(listed, lr=settings.learning_rate, betas=betas, eps=epsilon, fused=True)


def _muon(weights: list[Tensor], settings: TrainSettings) -> torch.optim.Optimizer:
    group = {"params": weights, "rate": 1.0}
    return torch.optim.Muon(
        [group],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        momentum=settings.muon_momentum,
        adjust_lr_fn="match_rms_adamw",
    )
