"""How a model is trained: one frozen record, and what follows from it for every step, in plain Python and numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from vocab.choices import Precision, Schedule
from vocab.errors import TrainingError

# What a batch grows by while it warms up, as a share of the whole batch.
_BATCH_STEPS = 8


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """All that decides a training run beside the model's shape and the shards.

    Attributes:
        n_tokens: tokens to train on, over all epochs.
        seq_len: tokens of a sequence.
        batch: sequences of one step, over all processes.
        micro_batch: sequences that one process holds at a time; the rest of its share is accumulated.
        learning_rate: the highest one.
        warmup: share of the tokens over which the learning rate rises linearly.
        schedule: "cosine", or "wsd": constant, then falling linearly over the last `decay` of the tokens.
        decay: share of the tokens over which wsd falls.
        final: the last learning rate as a share of the highest.
        batch_warmup: share of the tokens over which the batch grows in steps of an eighth (LokiLM: 0.1).
        weight_decay: of matrices; norms have none.
        beta1: decay of AdamW's mean of gradients.
        beta2: decay of AdamW's mean of their squares.
        clip: highest norm of the gradient.
        seed: of weights and of the order of samples.
        masked: attention stays inside documents.
        precision: "float32", "bfloat16" (autocast; weights stay float32), or "fp8" (torchao).
        attention: name of the attention back end, or "auto".
        head: name of the head's loss.
        compile: run the decoder through torch.compile.
        activation_checkpointing: compute activations again in the backward pass.
        spike: a loss this many nats a token above the median of the last `spike_window` steps is a spike, unless
            losses of steps differ so much anyway.
        spike_window: steps; no spike is seen before so many.
        max_rollbacks: spikes after which training stops.
        distill_every: every so many steps the loss is distilled from teachers; 0 for never (LokiLM: 4).
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
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
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
                raise TrainingError(f"{name} is {getattr(self, name)}, which must be at least 1")
        for name in ("warmup", "decay", "final", "batch_warmup"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} is {getattr(self, name)}, which must be from 0 to 1")
        if self.learning_rate <= 0 or self.clip <= 0 or self.spike <= 0:
            raise TrainingError("learning_rate, clip and spike must be above 0")
        if self.schedule not in ("cosine", "wsd"):
            raise TrainingError(f"schedule is cosine or wsd, not {self.schedule!r}")
        if self.precision not in ("float32", "bfloat16", "fp8"):
            raise TrainingError(f"precision is float32, bfloat16 or fp8, not {self.precision!r}")
        if self.n_tokens < self.seq_len * self.batch:
            raise TrainingError(
                f"{self.n_tokens:,} tokens to train on are fewer than one batch ({self.batch} sequences of "
                f"{self.seq_len}): give more text or lower --batch"
            )

    def differences(self, other: TrainSettings) -> list[str]:
        """Fields in which two runs differ, for people."""
        both = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return [f"{name} is {now!r}, was {before!r}" for name, now, before in both if now != before]

    @cached_property
    def plan(self) -> Plan:
        """Positions and sizes of all steps."""
        return Plan.of(self)

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step, from how much of all tokens lies behind its end."""
        done = float(self.plan.firsts[step + 1] / self.plan.firsts[-1])
        if done < self.warmup:
            return self.learning_rate * done / self.warmup
        if self.schedule == "wsd":
            left = 1.0 if self.decay == 0 else min(1.0, (1 - done) / self.decay)
        else:
            left = (1 + math.cos(math.pi * (done - self.warmup) / max(1e-12, 1 - self.warmup))) / 2
        return self.learning_rate * (self.final + (1 - self.final) * left)


@dataclass(frozen=True)
class Plan:
    """Sequences before each step, int64[n_steps + 1]: step s trains on positions firsts[s] … firsts[s + 1] - 1."""

    firsts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, settings: TrainSettings) -> Plan:
        """Whole batches up to `n_tokens`; while the batch warms up, as many eighths of it as of the warm-up passed."""
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
        """Raise TrainingError unless every step's batch can be shared evenly by so many processes."""
        sizes = set(np.diff(self.firsts).tolist())
        if uneven := sorted(size for size in sizes if size % world):
            raise TrainingError(
                f"a batch of {uneven[0]} sequences cannot be shared evenly by {world} processes: choose --batch a "
                f"multiple of {world}, or of {_BATCH_STEPS * world} with a batch warm-up"
            )


@dataclass(frozen=True)
class Recipe:
    """What suits a preset's shape: sequences of a step, sequences that a process holds at a time, learning rate."""

    batch: int
    micro_batch: int
    learning_rate: float


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        # On English text 0.01 gave a higher loss.
        "micro": Recipe(4, 4, 4e-3),
        "nano": Recipe(16, 8, 3e-3),
        # GPT-3's rate for its 125M model (arXiv 2005.14165, table 2.1) and its half a million tokens a step.
        "gpt2-124m-class": Recipe(512, 64, 6e-4),
        # TinyLlama's two million tokens a step and rate (arXiv 2401.02385).
        "tinyllama-1.1b": Recipe(1024, 8, 4e-4),
        # LokiLM's are not stated (arXiv 2407.08370): those of TinyLlama.
        "lokilm-1.4b": Recipe(1024, 8, 4e-4),
    }
)
