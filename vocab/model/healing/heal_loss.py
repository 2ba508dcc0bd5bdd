"""The loss of healing: next-token loss everywhere, and the distance to the teacher where both begin a token.

At such a place the teacher's probabilities of its next token are moved to the student's ids: that of a kept token to
itself, that of a dropped one to the first of the student's tokens that spell it (`Teacher`). That is the probability of
the student's next token under the teacher, for a vocabulary pruned without tokens of its own. The distance is the
Kullback-Leibler divergence from these to the student's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from vocab.choices import ProductPrecision
from vocab.model.healing.aligned_pieces import Piece, padded_ids
from vocab.model.pretrained.causal_model import CausalModel
from vocab.model.training.distillation import MovedMass


@dataclass(frozen=True)
class HealNats:
    """Sums over some pieces.

    Attributes:
        text: next-token loss of the student, nats, a tensor with a gradient.
        divergence: Kullback-Leibler divergences, nats, likewise.
        teacher_text: next-token loss of the teacher, nats.
        n_tokens: tokens of the student.
        n_aligned: places with a divergence.
        n_bytes: bytes of text.
        seconds: wall-clock seconds forward of the student and of the teacher.
    """

    text: Tensor
    divergence: Tensor
    teacher_text: float
    n_tokens: int
    n_aligned: int
    n_bytes: int
    seconds: tuple[float, float]


@dataclass(frozen=True)
class Pair:
    """Student and teacher.

    Attributes:
        student: the model that is healed.
        teacher: the unpruned model.
        answers: how the teacher's probabilities become those of the student's ids.
        starts: ids before each piece, of the student and the teacher; None for nothing.
        precision: what products are computed in.
    """

    student: CausalModel
    teacher: CausalModel
    answers: MovedMass
    starts: tuple[int | None, int | None]
    precision: ProductPrecision

    def nats(self, pieces: Sequence[Piece]) -> HealNats:
        """Sums over pieces, which are computed at once."""
        started = time.perf_counter()
        with torch.no_grad():
            theirs = self._places(self.teacher, [piece.teacher for piece in pieces], self.starts[1])
            teacher_text = float(_text_nats(theirs, [piece.teacher for piece in pieces]))
            between = time.perf_counter()
            logits = torch.cat([one[piece.teacher_places] for one, piece in zip(theirs, pieces, strict=True)])
            wanted = self.answers.of_logits(logits)
            del theirs, logits
        moved = time.perf_counter()
        ours = self._places(self.student, [piece.student for piece in pieces], self.starts[0])
        text = _text_nats(ours, [piece.student for piece in pieces])
        seconds = (time.perf_counter() - moved, between - started)
        aligned = torch.cat([one[piece.student_places] for one, piece in zip(ours, pieces, strict=True)])
        return HealNats(
            text,
            F.kl_div(aligned, wanted, reduction="sum"),
            teacher_text,
            sum(piece.student.size for piece in pieces),
            sum(piece.student_places.size for piece in pieces),
            sum(piece.n_bytes for piece in pieces),
            seconds,
        )

    def _places(self, model: CausalModel, rows: Sequence[np.ndarray], start: int | None) -> list[Tensor]:
        """Log-probabilities before each token of each row, float32 (n_tokens, n_rows); uniform where nothing is."""
        ids = torch.from_numpy(padded_ids(rows, start)).to(model.device)
        logits = model.logits(ids, self.precision)
        if start is None:
            logits = F.pad(logits, (0, 0, 1, 0))
        return [logits[k, : row.size].float().log_softmax(dim=-1) for k, row in enumerate(rows)]


def _text_nats(places: Sequence[Tensor], rows: Sequence[np.ndarray]) -> Tensor:
    nats = [
        -one.gather(1, torch.from_numpy(row).to(one.device)[:, None]).sum()
        for one, row in zip(places, rows, strict=True)
    ]
    return torch.stack(nats).sum()
