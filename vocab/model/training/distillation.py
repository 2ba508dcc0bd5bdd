"""Knowledge distillation with LokiLM's objective: the least of the cross-entropies with the text and each teacher.

In LokiLM (arXiv 2407.08370) the loss of every fourth batch is the minimum of the cross-entropies between the student
and the text, and between the student and each teacher. We take the minimum token by token
(`vocab.model.network.head.distilled`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vocab.errors import TrainingError
from vocab.model.network.head import Nats
from vocab.model.network.language_model import LanguageModel
from vocab.reading import parse_json

# From the teacher's ids (B, T) to its logits (B, T, n_teacher_ids).
Logits = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Teacher:
    """A model over its own ids, and the place of the student's ids among them.

    The probability of tokens that the student lacks goes to the others in proportion.

    Attributes:
        logits: the model.
        old_ids: int64 (n_ids,), the teacher's id of each of the student's.
    """

    logits: Logits
    old_ids: Tensor

    def probabilities(self, ids: Tensor) -> Tensor:
        """Probabilities of the next token after student ids (B, T): (B · T, n_ids) float32, without gradients."""
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
        """A teacher over the unpruned source vocabulary.

        Args:
            logits: the model.
            id_map: content of the `id_map.json` that `vocab prune` wrote.

        Raises:
            TrainingError: for a map that leaves out an id.
        """
        old_ids = {new: int(old) for old, new in id_map["kept"].items()}
        new_ids = range(int(id_map["n_new"]))
        if (missing := next((new for new in new_ids if new not in old_ids), None)) is not None:
            raise TrainingError(f"the id map has no source for id {missing}: prune again")
        return cls(logits, torch.tensor([old_ids[new] for new in new_ids], dtype=torch.int64))


def of_transformers(name_or_path: str, device: torch.device) -> Logits:
    """The logits of a Hugging Face causal model, of safetensors files; code of its repository is never run.

    Raises TrainingError when it cannot be loaded.
    """
    try:
        from transformers import AutoModelForCausalLM
    except ImportError:
        raise TrainingError(
            "a teacher needs the package transformers, which is not installed: pip install transformers"
        ) from None
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(name_or_path, trust_remote_code=False, use_safetensors=True)
        model = model.to(device).eval()
    except (OSError, ValueError) as error:
        raise TrainingError(f"the teacher {name_or_path} cannot be loaded: {str(error).splitlines()[0]}") from None
    return lambda ids: model(ids).logits


class Distiller:
    """Computes the nats of a distilled micro-batch; pass it to `train` as `distill`.

    Args:
        teachers: at least one; else TrainingError is raised.
    """

    def __init__(self, teachers: Sequence[Teacher]) -> None:
        if not teachers:
            raise TrainingError("distillation needs at least one teacher")
        self.teachers = tuple(teachers)

    def __call__(self, model: LanguageModel, ids: Tensor, targets: Tensor, documents: Tensor | None) -> Nats:
        """Nats whose sum is the objective; those of each token are with the text, so that curves stay comparable."""
        nats: Nats = model(ids, targets, documents, [teacher.probabilities(ids) for teacher in self.teachers])
        return nats


def distiller_of(names: Sequence[str], id_map: Path | None, n_ids: int, device: torch.device) -> Distiller:
    """Load teachers from Hugging Face.

    Args:
        names: repositories or folders.
        id_map: `id_map.json` of `vocab prune` when teachers use the source vocabulary; None when they use the
            student's.
        n_ids: rows of the student's embedding.
        device: where teachers compute.

    Raises:
        TrainingError: for a teacher or a map that cannot be loaded.
    """
    models = [of_transformers(name, device) for name in names]
    if id_map is None:
        return Distiller([Teacher.of_same_ids(model, n_ids) for model in models])
    try:
        content = parse_json(id_map.read_bytes())
        return Distiller([Teacher.of_source(model, content) for model in models])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise TrainingError(f"{id_map} cannot be read as the id_map.json of `vocab prune`: {error}") from None
