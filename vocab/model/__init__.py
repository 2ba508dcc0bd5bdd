"""The decoder and its trainer: the only package that imports torch, which comes with `pip install 'vocabkit[train]'`.

    from vocab.model import train

Its rooms, each of which imports only those before it:

- `network`, the decoder, and `data`, token shards;
- `hardware`, devices, processes and precision;
- `timing`, benchmarks, and `export`, folders for transformers and generated text;
- `pretrained`, models of other programs, loaded and scored;
- `training`, runs, and `healing`, runs of models with a pruned vocabulary.

Shapes, shards and settings are plain Python and numpy; torch is imported when a name needs it.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from vocab.errors import MissingExtraError
from vocab.lazy import lazy_exports

if TYPE_CHECKING:
    from vocab.model.data.sharding import make_shards
    from vocab.model.data.shards import ShardFile, ShardMetadata, read_metadata
    from vocab.model.export.generate import generate
    from vocab.model.export.transformers_folder import load_export
    from vocab.model.healing.heal import Healed, heal
    from vocab.model.healing.healer import HealSettings
    from vocab.model.network.attention_interface import AttentionBackend, AttentionRequest
    from vocab.model.network.config import PRESETS, ModelConfig
    from vocab.model.network.decoder import Decoder
    from vocab.model.network.head import Nats
    from vocab.model.network.language_model import LanguageModel
    from vocab.model.pretrained.causal_model import CausalModel, load_causal_model
    from vocab.model.pretrained.evaluate_model import ModelEvaluation, TaskScore, evaluate_model
    from vocab.model.pretrained.initial_model import InitialModel, load_initial_model
    from vocab.model.pretrained.score import DomainScore, ModelScore, score_model
    from vocab.model.timing.bench import BenchSettings, Timing, bench_sizes
    from vocab.model.training.distillation import Distiller, Teacher
    from vocab.model.training.held_out_loss import HeldOutLoss
    from vocab.model.training.recipe import RECIPES, Recipe, settings_for
    from vocab.model.training.settings import Cadence, Plan, TrainSettings
    from vocab.model.training.trainer import Stopped
    from vocab.model.training.training_run import RunResult, train

__all__ = [
    "PRESETS",
    "RECIPES",
    "AttentionBackend",
    "AttentionRequest",
    "BenchSettings",
    "Cadence",
    "CausalModel",
    "Decoder",
    "Distiller",
    "DomainScore",
    "HealSettings",
    "Healed",
    "HeldOutLoss",
    "InitialModel",
    "LanguageModel",
    "ModelConfig",
    "ModelEvaluation",
    "ModelScore",
    "Nats",
    "Plan",
    "Recipe",
    "RunResult",
    "ShardFile",
    "ShardMetadata",
    "Stopped",
    "TaskScore",
    "Teacher",
    "Timing",
    "TrainSettings",
    "bench_sizes",
    "evaluate_model",
    "generate",
    "heal",
    "load_causal_model",
    "load_export",
    "load_initial_model",
    "make_shards",
    "read_metadata",
    "score_model",
    "settings_for",
    "train",
]

# The profiler, which names kernels, would write two lines to standard error each time.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

_WITHOUT_TORCH = {
    "Cadence": "vocab.model.training.settings",
    "ModelConfig": "vocab.model.network.config",
    "PRESETS": "vocab.model.network.config",
    "Plan": "vocab.model.training.settings",
    "RECIPES": "vocab.model.training.recipe",
    "Recipe": "vocab.model.training.recipe",
    "ShardFile": "vocab.model.data.shards",
    "ShardMetadata": "vocab.model.data.shards",
    "TrainSettings": "vocab.model.training.settings",
    "make_shards": "vocab.model.data.sharding",
    "read_metadata": "vocab.model.data.shards",
    "settings_for": "vocab.model.training.recipe",
}
_WITH_TORCH = {
    "AttentionBackend": "vocab.model.network.attention_interface",
    "AttentionRequest": "vocab.model.network.attention_interface",
    "BenchSettings": "vocab.model.timing.bench",
    "CausalModel": "vocab.model.pretrained.causal_model",
    "Decoder": "vocab.model.network.decoder",
    "Distiller": "vocab.model.training.distillation",
    "DomainScore": "vocab.model.pretrained.score",
    "HealSettings": "vocab.model.healing.healer",
    "Healed": "vocab.model.healing.heal",
    "HeldOutLoss": "vocab.model.training.held_out_loss",
    "InitialModel": "vocab.model.pretrained.initial_model",
    "LanguageModel": "vocab.model.network.language_model",
    "ModelEvaluation": "vocab.model.pretrained.evaluate_model",
    "ModelScore": "vocab.model.pretrained.score",
    "Nats": "vocab.model.network.head",
    "RunResult": "vocab.model.training.training_run",
    "Stopped": "vocab.model.training.trainer",
    "TaskScore": "vocab.model.pretrained.evaluate_model",
    "Teacher": "vocab.model.training.distillation",
    "Timing": "vocab.model.timing.bench",
    "bench_sizes": "vocab.model.timing.bench",
    "evaluate_model": "vocab.model.pretrained.evaluate_model",
    "generate": "vocab.model.export.generate",
    "heal": "vocab.model.healing.heal",
    "load_causal_model": "vocab.model.pretrained.causal_model",
    "load_export": "vocab.model.export.transformers_folder",
    "load_initial_model": "vocab.model.pretrained.initial_model",
    "score_model": "vocab.model.pretrained.score",
    "train": "vocab.model.training.training_run",
}


def require_torch(purpose: str) -> None:
    """Raise MissingExtraError, which says how to install torch, unless it can be imported."""
    if find_spec("torch") is None:
        raise MissingExtraError(purpose, "torch", "train")


def _check(name: str, home: str) -> None:
    if name in _WITH_TORCH:
        require_torch(f"vocab.model.{name}")


__getattr__, __dir__ = lazy_exports(__name__, _WITHOUT_TORCH | _WITH_TORCH, _check)
