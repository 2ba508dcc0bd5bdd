"""The loop of healing: steps over aligned pieces, checkpoints, exact resume."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vocab.choices import ProductPrecision
from vocab.errors import TrainingError
from vocab.model.hardware.parallel import Workers
from vocab.model.healing.aligned_pieces import Piece, fingerprint_of
from vocab.model.healing.heal_loss import HealNats, Pair
from vocab.model.training.checkpoint import Checkpoints, training_tensors
from vocab.model.training.logs import RunLog
from vocab.model.training.optimiser import optimisers
from vocab.model.training.resuming import changed_settings, differences
from vocab.model.training.run_folder import CHECKPOINTS
from vocab.model.training.settings import TrainSettings
from vocab.model.training.stop_signals import signals_caught
from vocab.model.training.trainer import OnRecord, Stopped

# AdamW's. Rows that the text hardly uses have gradients far below this, and stay: else every row would move as fast.
_EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True)
class HealSettings:
    """All that decides the weights of a healed model, given both models and the text.

    Attributes:
        n_steps: steps of the optimiser.
        batch: pieces of one step.
        micro_batch: pieces that are computed at once; gradients of the rest are accumulated.
        seq_len: tokens of a piece at most.
        learning_rate: the highest learning rate; it rises over the first twentieth, and falls by a cosine to a tenth.
        divergence: weight of the divergence from the teacher.
        next_token: weight of the next-token loss.
        all_weights: whether all weights are trained, and not only embedding and head.
        seed: of the order of pieces.
        precision: "float32", or "bfloat16" for products (autocast); weights stay float32.

    Raises:
        TrainingError: for settings that cannot be healed with.
    """

    n_steps: int = 200
    batch: int = 8
    micro_batch: int = 2
    seq_len: int = 512
    learning_rate: float = 1e-4
    divergence: float = 1.0
    next_token: float = 0.5
    all_weights: bool = False
    seed: int = 0
    precision: ProductPrecision = "float32"

    def __post_init__(self) -> None:
        if self.n_steps < 1:
            raise TrainingError(f"`n_steps` must be at least 1, not {self.n_steps}")
        if self.seq_len < 2:
            raise TrainingError(f"`seq_len` must be at least 2, not {self.seq_len}")
        if min(self.divergence, self.next_token) < 0 or self.divergence + self.next_token <= 0:
            raise TrainingError("`divergence` and `next_token` must not be below 0, and one must be above 0")
        self.as_training()

    def as_training(self) -> TrainSettings:
        """The same for the optimiser, its learning rate and the rule of what may change when a run goes on."""
        return TrainSettings(
            n_tokens=self.n_steps * self.batch * self.seq_len,
            seq_len=self.seq_len,
            batch=self.batch,
            micro_batch=self.micro_batch,
            learning_rate=self.learning_rate,
            warmup=0.05,
            weight_decay=0.0,
            seed=self.seed,
            precision=self.precision,
        )


class Healer:
    """Trains a student; `run` goes on from the newest whole checkpoint.

    Args:
        pair: student and teacher.
        pieces: to train on.
        settings: what decides the weights.
        out: folder of the run.
        workers: this process.
        checkpoint_steps: steps between checkpoints.
        on_record: is called with each record of the log: "step" and its figures.

    Raises:
        TrainingError: fewer pieces than one batch, a loss that is not finite, or a checkpoint of other settings.
    """

    def __init__(
        self,
        pair: Pair,
        pieces: Sequence[Piece],
        settings: HealSettings,
        out: Path,
        workers: Workers,
        *,
        checkpoint_steps: int = 50,
        on_record: OnRecord | None = None,
    ) -> None:
        if len(pieces) < settings.batch:
            raise TrainingError(
                f"the corpus has {len(pieces):,} pieces of text, fewer than one batch of {settings.batch}: give more "
                "text or lower `batch`"
            )
        self.pair, self.pieces, self.settings, self.out = pair, pieces, settings, out
        self._plan = settings.as_training()
        self._network = pair.student.network
        choose_trained(self._network, all_weights=settings.all_weights)
        self._optimisers = optimisers(self._network, self._plan, epsilon=_EPSILON)
        self._checkpoints = Checkpoints(out / CHECKPOINTS, workers)
        self._checkpoint_steps = checkpoint_steps
        self._fingerprint = fingerprint_of(pieces)
        self._on_record = on_record or (lambda kind, figures: None)
        self._stop = False
        self.step = self.n_bytes = 0

    def run(self) -> None:
        """Train to the last step. Raises Stopped after a signal, once a checkpoint is written."""
        log = self._begin()
        try:
            with signals_caught(self._ask_to_stop):
                while self.step < self.settings.n_steps:
                    self._one_step(log)
                self._checkpoints.finish()
        finally:
            self._checkpoints.wait()
            log.close()

    def _ask_to_stop(self) -> None:
        self._stop = True

    def _begin(self) -> RunLog:
        newest = self._checkpoints.newest()
        if newest is None:
            return RunLog(self.out)
        folder, stored = newest
        self._check_same(stored)
        self._checkpoints.load(folder, training_tensors(self._network, self._optimisers))
        self.step, self.n_bytes = stored["step"], stored["n_bytes"]
        self._optimisers.set_step(self.step)
        return RunLog(self.out, n_lines=stored["n_log_lines"], digest=stored["log_digest"])

    def _check_same(self, stored: dict[str, Any]) -> None:
        now, before = asdict(self.settings), dict(stored["settings"])
        free = asdict(self._plan).keys() - {"n_tokens"}
        differing = changed_settings(self._plan, stored["plan"], stored["step"])
        differing += differences(*({k: v for k, v in side.items() if k not in free} for side in (now, before)))
        if stored["fingerprint"] != self._fingerprint:
            differing.append("the text or a vocabulary is another")
        if differing:
            raise TrainingError(
                f"the checkpoints in {self.out} are of other settings ({'; '.join(differing)}): use the same, or "
                "another `out`"
            )

    def _save(self, log: RunLog) -> None:
        state = {
            "step": self.step,
            "n_bytes": self.n_bytes,
            "n_log_lines": log.n_lines,
            "log_digest": log.digest,
            "settings": asdict(self.settings),
            "plan": asdict(self._plan),
            "fingerprint": self._fingerprint,
        }
        self._checkpoints.save(self.step, training_tensors(self._network, self._optimisers), state)

    def _one_step(self, log: RunLog) -> None:
        started = time.perf_counter()
        batch = batch_of(self.step, self.settings.batch, len(self.pieces), self.settings.seed)
        sums = self._accumulate([self.pieces[k] for k in batch])
        trained = [weight for weight in self._network.parameters() if weight.requires_grad]
        norm = float(torch.nn.utils.clip_grad_norm_(trained, self._plan.clip))
        if not math.isfinite(norm + sums["text"] + sums["divergence"]):
            self._checkpoints.finish()
            raise TrainingError(
                f"the loss of step {self.step + 1} is not finite: lower `learning_rate`; at step 1 the model may be "
                "damaged, which vocab score says"
            )
        rate = self._plan.learning_rate_at(self.step)
        self._optimisers.set_learning_rate(rate)
        self._optimisers.step()
        self._optimisers.zero_grad()
        self.step += 1
        self.n_bytes += int(sums["n_bytes"])
        self._record(log, sums, rate, norm, time.perf_counter() - started)
        if self.step % self._checkpoint_steps == 0 or self.step == self.settings.n_steps or self._stop:
            self._save(log)
        if self._stop and self.step < self.settings.n_steps:
            self._checkpoints.finish()
            raise Stopped

    def _accumulate(self, pieces: list[Piece]) -> dict[str, float]:
        """Gradients of a batch, and its sums."""
        n_tokens = sum(piece.student.size for piece in pieces)
        total: dict[str, float] = {}
        for first in range(0, len(pieces), self.settings.micro_batch):
            nats = self.pair.nats(pieces[first : first + self.settings.micro_batch])
            loss = self.settings.next_token * nats.text + self.settings.divergence * nats.divergence
            torch.autograd.backward(loss / n_tokens)
            for name, value in sums_of(nats).items():
                total[name] = total.get(name, 0.0) + value
        return total

    def _record(self, log: RunLog, sums: dict[str, float], rate: float, norm: float, seconds: float) -> None:
        figures = figures_of(sums) | {
            "step": self.step,
            "bytes": self.n_bytes,
            "learning_rate": rate,
            "gradient_norm": norm,
            "seconds": seconds,
        }
        log.write("step", **figures)
        self._on_record("step", figures)


def choose_trained(network: Any, *, all_weights: bool) -> None:
    """Let only embedding and head learn, or everything."""
    for weight in network.parameters():
        weight.requires_grad_(all_weights)
    for table in (network.get_input_embeddings(), network.get_output_embeddings()):
        for weight in table.parameters() if table is not None else ():
            weight.requires_grad_(True)


def batch_of(step: int, size: int, n_pieces: int, seed: int) -> list[int]:
    """Numbers of the pieces of a step: every piece once in each round, in an order of its own."""
    chosen = []
    for place in range(step * size, (step + 1) * size):
        order = np.random.default_rng([seed, place // n_pieces]).permutation(n_pieces)
        chosen.append(int(order[place % n_pieces]))
    return chosen


def sums_of(nats: HealNats) -> dict[str, float]:
    """Sums of some pieces as plain numbers."""
    return {
        "text": float(nats.text.detach()),
        "divergence": float(nats.divergence.detach()),
        "teacher_text": nats.teacher_text,
        "n_tokens": nats.n_tokens,
        "n_aligned": nats.n_aligned,
        "n_bytes": nats.n_bytes,
        "student_seconds": nats.seconds[0],
        "teacher_seconds": nats.seconds[1],
    }


def figures_of(sums: dict[str, float]) -> dict[str, float]:
    """What sums say: bits per byte of student and teacher, and the divergence in nats a place."""
    bits = math.log(2) * max(sums["n_bytes"], 1)
    return {
        "bits_per_byte": sums["text"] / bits,
        "teacher_bits_per_byte": sums["teacher_text"] / bits,
        "divergence": sums["divergence"] / max(sums["n_aligned"], 1),
    }
