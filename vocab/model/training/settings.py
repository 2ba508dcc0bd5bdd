"""How a model is trained: one frozen record, and what follows from it for every step, in plain Python and numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
import numpy.typing as npt

from vocab.choices import Optimizer, Precision, Schedule, TrackerName
from vocab.errors import TrainingError

# A batch that warms up grows in this many steps of equal size.
_BATCH_STEPS = 8


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """All that decides the weights of a run, given the model's shape and the shards.

    Attributes:
        n_tokens: tokens to train on, over all epochs.
        seq_len: tokens of a sequence.
        batch: sequences of one step, over all processes (elsewhere: global batch size).
        micro_batch: sequences that one process holds at a time; gradients of the rest of its share are accumulated.
        learning_rate: the highest learning rate.
        warmup: share of the tokens, 0 to 1, over which the learning rate rises linearly from 0.
        schedule: "cosine", or "wsd": constant, then falling linearly over the last `decay` of the tokens.
        decay: share of the tokens, 0 to 1, over which "wsd" falls.
        final: the last learning rate as a share of the highest, 0 to 1.
        batch_warmup: share of the tokens, 0 to 1, over which the batch grows in steps of an eighth (LokiLM: 0.1).
        optimizer: "adamw", or "muon": Muon for the matrices of the blocks, AdamW for embedding, head and norms.
        embedding_rate: learning rate of the embedding, and of a head tied to it, as a multiple of the others'. About
            √width suits large vocabularies (arXiv 2506.15025).
        weight_decay: share of a matrix that a step at rate 1 takes off; norms have none.
        beta1: decay of AdamW's mean of gradients.
        beta2: decay of AdamW's mean of squared gradients.
        muon_momentum: decay of Muon's mean of gradients.
        clip: highest 2-norm of the gradient; a longer one is scaled down to it.
        seed: of the weights and of the order of samples.
        masked: whether attention stays inside documents.
        precision: "float32", "bfloat16" (autocast; weights stay float32), or "fp8" (with torchao).
        attention: name of the attention back end, or "auto".
        head: name of the head, a key of `vocab.model.network.head.HEADS`.
        compile: whether the decoder's blocks run through torch.compile.
        activation_checkpointing: whether activations are computed again in the backward pass, which saves memory.
        spike: nats a token above the median of recent losses from which a loss is a spike, unless recent losses
            differ as much among themselves.
        spike_window: steps whose losses are recent; before that many steps no loss is a spike.
        max_rollbacks: spikes that are rolled back; one more ends training with an error.
        distill_every: steps from one distilled step to the next, 0 for none (LokiLM: 4).

    Raises:
        TrainingError: for settings that cannot be trained with.
    """

    n_tokens: int
    seq_len: int
    batch: int
    micro_batch: int
    learning_rate: float = 3e-3
    warmup: float = 0.02
    schedule: Schedule = "cosine"
    decay: float = 0.2
    final: float = 0.1
    batch_warmup: float = 0.0
    optimizer: Optimizer = "adamw"
    embedding_rate: float = 1.0
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    muon_momentum: float = 0.95
    clip: float = 1.0
    seed: int = 0
    masked: bool = False
    precision: Precision = "float32"
    attention: str = "auto"
    head: str = "chunked"
    compile: bool = False
    activation_checkpointing: bool = False
    spike: float = 1.0
    spike_window: int = 100
    max_rollbacks: int = 10
    distill_every: int = 0

    def __post_init__(self) -> None:
        for name in ("n_tokens", "seq_len", "batch", "micro_batch", "spike_window"):
            if getattr(self, name) < 1:
                raise TrainingError(f"`{name}` must be at least 1, not {getattr(self, name)}")
        for name in ("warmup", "decay", "final", "batch_warmup"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"`{name}` must be from 0 to 1, not {getattr(self, name)}")
        for name in ("learning_rate", "embedding_rate", "clip", "spike"):
            if getattr(self, name) <= 0:
                raise TrainingError(f"`{name}` must be above 0, not {getattr(self, name)}")
        if self.optimizer not in get_args(Optimizer):
            raise TrainingError(f"`optimizer` must be adamw or muon, not {self.optimizer!r}")
        if self.schedule not in get_args(Schedule):
            raise TrainingError(f"`schedule` must be cosine or wsd, not {self.schedule!r}")
        if self.precision not in get_args(Precision):
            raise TrainingError(f"`precision` must be float32, bfloat16 or fp8, not {self.precision!r}")
        if self.n_tokens < self.seq_len * self.batch:
            raise TrainingError(
                f"{self.n_tokens:,} tokens to train on are fewer than one batch ({self.batch} sequences of "
                f"{self.seq_len}): give more text or lower `batch`"
            )

    @cached_property
    def plan(self) -> Plan:
        """Positions and sizes of all steps."""
        return Plan.of(self)

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of step `step`, counted from 0; it depends on the share of all tokens at its end."""
        done = float(self.plan.firsts[step + 1] / self.plan.firsts[-1])
        if done < self.warmup:
            return self.learning_rate * done / self.warmup
        if self.schedule == "wsd":
            left = 1.0 if self.decay == 0 else min(1.0, (1 - done) / self.decay)
        else:
            left = (1 + math.cos(math.pi * (done - self.warmup) / max(1e-12, 1 - self.warmup))) / 2
        return self.learning_rate * (self.final + (1 - self.final) * left)


@dataclass(frozen=True)
class Cadence:
    """How often a run looks and saves, which changes no weights.

    Attributes:
        checkpoint_steps: steps between checkpoints.
        eval_bytes: bytes of training text between evaluations of held-out text.
        held_out_bytes: bytes of held-out text to score each time; the same documents for every vocabulary.
        final_held_out_bytes: bytes of held-out text to score at the end.
        sample_steps: steps between samples of text, 0 for none.
        prompt: what samples continue, "" for the start of a document.
        track: who gets the figures; None for TensorBoard if it is installed.
    """

    checkpoint_steps: int = 500
    eval_bytes: int = 2_000_000
    held_out_bytes: int = 200_000
    final_held_out_bytes: int = 2_000_000
    sample_steps: int = 0
    prompt: str = ""
    track: tuple[TrackerName, ...] | None = None


@dataclass(frozen=True)
class Plan:
    """The sequences of every step.

    Attributes:
        firsts: int64[n_steps + 1], sequences before each step. Step s trains on positions firsts[s] to
            firsts[s + 1] - 1.
    """

    firsts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, settings: TrainSettings) -> Plan:
        """Whole batches up to `n_tokens`. While the batch warms up, it grows by an eighth at each eighth of the way."""
        n_sequences = settings.n_tokens // settings.seq_len
        growing = settings.batch_warmup * n_sequences
        firsts = [0]
        while True:
            size = settings.batch
            if firsts[-1] < growing:
                eighths = 1 + int(_BATCH_STEPS * firsts[-1] / growing)
                size = max(1, settings.batch * min(_BATCH_STEPS, eighths) // _BATCH_STEPS)
            if firsts[-1] + size > n_sequences:
                return cls(np.array(firsts, dtype=np.int64))
            firsts.append(firsts[-1] + size)

    @property
    def n_steps(self) -> int:
        """Steps in all."""
        return self.firsts.size - 1

    def check_world(self, world: int) -> None:
        """Raise TrainingError unless `world` processes can share every step's batch evenly."""
        sizes = set(np.diff(self.firsts).tolist())
        if uneven := sorted(size for size in sizes if size % world):
            raise TrainingError(
                f"a batch of {uneven[0]} sequences cannot be shared evenly by {world} processes: choose as `batch` a "
                f"multiple of {world}, or of {_BATCH_STEPS * world} with a batch warm-up"
            )
