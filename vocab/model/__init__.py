"""The decoder and its trainer: the only package that imports torch, which comes with `pip install 'vocabkit[train]'`.

    from vocab.model import train

Configurations, shards and schedules are plain Python and numpy; torch is imported when a name that needs it is used.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

from vocab.errors import MissingExtraError
from vocab.lazy import lazy_exports

if TYPE_CHECKING:
    from vocab.model.data.sharding import make_shards
    from vocab.model.export.generate import sample
    from vocab.model.export.transformers_folder import load_export
    from vocab.model.network.config import PRESETS, ModelConfig
    from vocab.model.network.decoder import Decoder
    from vocab.model.training.settings import TrainSettings
    from vocab.model.training.training_run import train

__all__ = ["PRESETS", "Decoder", "ModelConfig", "TrainSettings", "load_export", "make_shards", "sample", "train"]

# The profiler, which names kernels, would write two lines to standard error each time.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

_HOMES = {
    "ModelConfig": "vocab.model.network.config",
    "PRESETS": "vocab.model.network.config",
    "Decoder": "vocab.model.network.decoder",
    "TrainSettings": "vocab.model.training.settings",
    "load_export": "vocab.model.export.transformers_folder",
    "make_shards": "vocab.model.data.sharding",
    "sample": "vocab.model.export.generate",
    "train": "vocab.model.training.training_run",
}
_WITHOUT_TORCH = {"vocab.model.network.config", "vocab.model.data.sharding", "vocab.model.training.settings"}


def require_torch(what: str) -> None:
    """Raise MissingExtraError, which says how to install it, unless torch can be imported."""
    if find_spec("torch") is None:
        raise MissingExtraError(what, "torch", "train")


def _check(name: str, home: str) -> None:
    if home not in _WITHOUT_TORCH:
        require_torch(f"vocab.model.{name}")


__getattr__, __dir__ = lazy_exports(__name__, _HOMES, _check)
