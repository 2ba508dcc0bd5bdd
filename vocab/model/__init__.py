"""The decoder and its trainer: the only package that imports torch, which comes with `pip install 'vocabkit[train]'`.

    from vocab.model import train

Configurations, shards and schedules are plain Python and numpy; torch is imported when a name that needs it is used.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from vocab.errors import MissingExtraError

if TYPE_CHECKING:
    from vocab.model.config import PRESETS, ModelConfig
    from vocab.model.decoder import Decoder
    from vocab.model.export import load_export
    from vocab.model.generate import sample
    from vocab.model.run import train
    from vocab.model.settings import TrainSettings
    from vocab.model.sharding import make_shards

__all__ = ["PRESETS", "Decoder", "ModelConfig", "TrainSettings", "load_export", "make_shards", "sample", "train"]

# The profiler, which names kernels, would write two lines to standard error each time.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

_HOMES = {
    "ModelConfig": "vocab.model.config",
    "PRESETS": "vocab.model.config",
    "Decoder": "vocab.model.decoder",
    "TrainSettings": "vocab.model.settings",
    "load_export": "vocab.model.export",
    "make_shards": "vocab.model.sharding",
    "sample": "vocab.model.generate",
    "train": "vocab.model.run",
}
_WITHOUT_TORCH = {"vocab.model.config", "vocab.model.sharding", "vocab.model.settings"}


def require_torch(what: str) -> None:
    """Raise MissingExtraError, which says how to install it, unless torch can be imported."""
    if find_spec("torch") is None:
        raise MissingExtraError(what, "torch", "train")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'vocab.model' has no attribute {name!r}")
    home = _HOMES[name]
    if home not in _WITHOUT_TORCH:
        require_torch(f"vocab.model.{name}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
