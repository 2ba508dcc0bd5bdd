"""What suits each preset, and settings in which it fills in what the caller leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from vocab.choices import Precision, PrecisionOrAuto
from vocab.errors import TrainingError
from vocab.model.network.config import ModelConfig
from vocab.model.training.settings import TrainSettings


@dataclass(frozen=True)
class Recipe:
    """What suits a preset's shape.

    Attributes:
        batch: sequences of one step, over all processes.
        micro_batch: sequences that one process holds at a time.
        learning_rate: the highest learning rate.
    """

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


def settings_for(
    preset: str,
    config: ModelConfig,
    n_corpus_tokens: int,
    *,
    n_tokens: int | None = None,
    epochs: float = 1.0,
    seq_len: int | None = None,
    batch: int | None = None,
    micro_batch: int | None = None,
    learning_rate: float | None = None,
    precision: PrecisionOrAuto = "auto",
    compile: bool | None = None,  # noqa: A002 - the field's name
    device: str = "auto",
    **others: Any,
) -> TrainSettings:
    """Settings in which the preset's recipe, the shape and the corpus fill in what is None.

    Args:
        preset: whose recipe to take.
        config: the shape; its longest sequence is the default of `seq_len`.
        n_corpus_tokens: tokens of the training side of the shards.
        n_tokens: tokens to train on, by default `epochs` times those of the corpus.
        epochs: times to see the corpus, when `n_tokens` is None.
        seq_len: tokens of a sequence.
        batch: sequences of one step.
        micro_batch: sequences that one process holds at a time, by default at most `batch`.
        learning_rate: the highest learning rate.
        precision: "auto" is bfloat16 on a GPU and float32 elsewhere.
        compile: whether blocks run through torch.compile, by default on a GPU.
        device: "auto", "cpu" or "cuda"; where the run will be.
        others: further fields of `TrainSettings`.

    Raises:
        TrainingError: for an unknown preset, or settings that cannot be trained with.
    """
    if preset not in RECIPES:
        raise TrainingError(f"unknown preset {preset!r}; there are: {', '.join(RECIPES)}")
    recipe = RECIPES[preset]
    batch = batch or recipe.batch
    return TrainSettings(
        n_tokens=n_tokens or int(epochs * n_corpus_tokens),
        seq_len=seq_len or config.max_seq_len,
        batch=batch,
        micro_batch=micro_batch or min(recipe.micro_batch, batch),
        learning_rate=recipe.learning_rate if learning_rate is None else learning_rate,
        precision=_usual_precision(device) if precision == "auto" else precision,
        compile=_usual_precision(device) != "float32" if compile is None else compile,
        **others,
    )


def _usual_precision(device: str) -> Precision:
    from vocab.model.hardware.precision import usual_precision  # torch, only when it must look for a GPU

    return usual_precision(device)
