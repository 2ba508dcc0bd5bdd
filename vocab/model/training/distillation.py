"""Knowledge distillation with LokiLM's objective: the least of the cross-entropies with the text and each teacher.

In LokiLM (arXiv 2407.08370) the loss of every fourth batch is the minimum of the cross-entropies between the student
and the text, and between the student and each teacher. We take the minimum token by token
(`vocab.model.network.head.distilled`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vocab.errors import SourceError, TrainingError
from vocab.formats.id_map import IdMap, read_id_map_file
from vocab.model.network.head import Nats, TeacherOfPart
from vocab.model.network.language_model import LanguageModel

# From the teacher's ids (B, T) to its logits (B, T, n_teacher_ids).
Logits = Callable[[Tensor], Tensor]
# Ids of a source, ten times as many as any known one has: a table of them is made.
_MOST_IDS = 1 << 24


@dataclass(frozen=True)
class MovedMass:
    """Probabilities over a source's ids, moved to those of a vocabulary pruned from it.

    Attributes:
        first_pieces: int64 (n_old,), the new id that the probability of each old one goes to, -1 for none.
        n_ids: number of new ids.
    """

    first_pieces: Tensor
    n_ids: int

    def of_logits(self, logits: Tensor) -> Tensor:
        """Probabilities (n, n_ids), float32, of logits (n, n_old or more); ids that go nowhere get none."""
        first = self.first_pieces
        nowhere = (first < 0).nonzero().flatten()
        known = logits[:, : first.numel()].float().index_fill(1, nowhere, -math.inf).softmax(dim=-1)
        shares = torch.zeros(known.shape[0], self.n_ids, device=known.device)
        return shares.index_add_(1, first.clamp(min=0), known)


def first_pieces_of(id_map: IdMap) -> Tensor:
    """The new id that each old one is spelt with first, int64 (n_old,), -1 for none; TrainingError for a vast map."""
    if id_map.n_old > _MOST_IDS:
        raise TrainingError(f"the id map has {id_map.n_old:,} ids of the source, and {_MOST_IDS:,} are the most")
    first_pieces = torch.full((id_map.n_old,), -1, dtype=torch.int64)
    for old, new in id_map.kept.items():
        first_pieces[old] = new
    for old, spelling in id_map.dropped.items():
        first_pieces[old] = spelling[0] if spelling else -1
    return first_pieces


@dataclass(frozen=True)
class Teacher:
    """A model over its own ids, which answers in the student's.

    The probability of a token that the student lacks goes to the first of the student's tokens that spell it, which
    is what the student must predict there. Ids that nothing spells, such as special tokens of the source, get none.

    Attributes:
        logits: the model.
        old_ids: int64 (n_ids,), the teacher's id of each of the student's.
        first_pieces: int64 (n_old,), the student's id that the probability of each of the teacher's ids goes to, -1 for
            none. Ids from n_old on get none.
    """

    logits: Logits
    old_ids: Tensor
    first_pieces: Tensor

    def of_batch(self, ids: Tensor) -> TeacherOfPart:
        """The teacher's answers after student ids (B, T): from a part of the B · T positions to probabilities.

        The model runs once, and its logits are kept. Each part has its probabilities (n, n_ids), float32, only while
        they are used: over a whole batch they are gigabytes.
        """
        old = self.old_ids.to(ids.device)
        mass = MovedMass(self.first_pieces.to(ids.device), old.numel())
        with torch.no_grad():
            logits = self.logits(old[ids]).flatten(0, 1)[:, : mass.first_pieces.numel()]
        if logits.shape[1] < mass.first_pieces.numel():
            raise TrainingError(
                f"a teacher has {logits.shape[1]:,} ids, and {mass.first_pieces.numel():,} are needed: a teacher over "
                "the unpruned vocabulary needs its `id_map`"
            )
        return lambda part: mass.of_logits(logits[part])

    @classmethod
    def of_same_ids(cls, logits: Logits, n_ids: int) -> Teacher:
        """A teacher over the student's own ids."""
        return cls(logits, torch.arange(n_ids), torch.arange(n_ids))

    @classmethod
    def of_source(cls, logits: Logits, id_map: IdMap) -> Teacher:
        """A teacher over the unpruned source vocabulary; raises TrainingError for a map that leaves out an id."""
        old_ids = {new: old for old, new in id_map.kept.items()}
        if (missing := next((new for new in range(id_map.n_new) if new not in old_ids), None)) is not None:
            raise TrainingError(f"the id map has no source for id {missing}: its tokens must be the source's")
        return cls(
            logits,
            torch.tensor([old_ids[new] for new in range(id_map.n_new)], dtype=torch.int64),
            first_pieces_of(id_map),
        )


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
        nats: Nats = model(ids, targets, documents, [teacher.of_batch(ids) for teacher in self.teachers])
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
        content = read_id_map_file(id_map)
    except SourceError as error:
        raise TrainingError(f"the teachers' ids are unknown: {error}") from None
    return Distiller([Teacher.of_source(model, content) for model in models])
