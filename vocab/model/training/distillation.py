"""Distillation with LokiLM's objective: the least of the cross-entropies with the text and with each teacher.

LokiLM (arXiv 2407.08370) says of every fourth batch that its loss is the minimum of the cross-entropies between the
student and the text, and the student and each teacher; we take the minimum token by token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from vocab.errors import TrainingError
from vocab.model.network.head import IGNORED, LanguageModel, Nats

Logits = Callable[[Tensor], Tensor]  # teacher ids (B, T) to logits (B, T, teacher's ids)


def least_cross_entropy(logits: Tensor, targets: Tensor, teachers: Sequence[Tensor]) -> Tensor:
    """Nats (N,): min(−log p(target), −Σ q log p over each teacher's q); 0 where the target is ignored.

    `logits` (N, n_ids), `targets` (N,) int64, each teacher's probabilities (N, n_ids).
    """
    logs = logits.float().log_softmax(dim=-1)
    known = targets != IGNORED
    options = [-logs.gather(1, targets.clamp(min=0)[:, None]).squeeze(1)]
    options += [-(shares.float() * logs).sum(dim=-1) for shares in teachers]
    return torch.stack(options).min(dim=0).values * known


@dataclass(frozen=True)
class Teacher:
    """A model that gives logits over its own ids, and how the student's ids are found among them.

    `old_ids` int64 (n_ids,): the teacher's id of each of the student's. Probability that the teacher gives to tokens
    which the student lacks goes to the kept ones in proportion.
    """

    logits: Logits
    old_ids: Tensor

    def probabilities(self, ids: Tensor) -> Tensor:
        """Of the next token for student ids (B, T): (B · T, n_ids) float32, without gradients."""
        with torch.no_grad():
            old = self.old_ids.to(ids.device)
            logits = self.logits(old[ids]).flatten(0, 1)
            return logits.float()[:, old].softmax(dim=-1)

    @classmethod
    def of_same_ids(cls, logits: Logits, n_ids: int) -> Teacher:
        """A teacher over the student's own ids."""
        return cls(logits, torch.arange(n_ids))

    @classmethod
    def of_source(cls, logits: Logits, id_map: Mapping[str, Any]) -> Teacher:
        """A teacher over the unpruned source vocabulary, by the content of `id_map.json` that `vocab prune` wrote.

        Raises TrainingError for a map that leaves out an id.
        """
        old_ids = np.full(int(id_map["n_new"]), -1, dtype=np.int64)
        for old, new in id_map["kept"].items():
            old_ids[new] = int(old)
        if (old_ids < 0).any():
            raise TrainingError(f"the id map has no source for id {int(np.argmin(old_ids))}: prune again")
        return cls(logits, torch.from_numpy(old_ids))


def of_transformers(name_or_path: str, device: torch.device) -> Logits:
    """The logits of a Hugging Face causal model; raises TrainingError when it cannot be loaded."""
    try:
        from transformers import AutoModelForCausalLM
    except ImportError:
        raise TrainingError("a teacher needs the package transformers: pip install transformers") from None
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(name_or_path)
        model = model.to(device).eval()
    except (OSError, ValueError) as error:
        raise TrainingError(f"the teacher {name_or_path} cannot be loaded: {str(error).splitlines()[0]}") from None
    return lambda ids: model(ids).logits


class Distiller:
    """Computes the nats of a distilled micro-batch; what `Trainer` takes as `distill`."""

    def __init__(self, teachers: Sequence[Teacher]) -> None:
        if not teachers:
            raise TrainingError("distillation needs at least one teacher")
        self.teachers = tuple(teachers)

    def __call__(self, model: LanguageModel, ids: Tensor, targets: Tensor, documents: Tensor | None) -> Nats:
        """Gradients are of the objective; the nats of each token are with the text, so that curves stay comparable."""
        found: Nats = model(ids, targets, documents, [teacher.probabilities(ids) for teacher in self.teachers])
        return found


def distilled(hidden: Tensor, weight: Tensor, targets: Tensor, teachers: Sequence[Tensor]) -> Nats:
    """The objective's sum, with gradients, and the nats of each target with the text, without."""
    logits = F.linear(hidden, weight.to(hidden.dtype))
    least = least_cross_entropy(logits, targets, teachers)
    with torch.no_grad():
        each = F.cross_entropy(logits.float(), targets, ignore_index=IGNORED, reduction="none")
    return Nats(least.sum(), each)
