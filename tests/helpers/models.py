"""A tiny decoder, documents that it learns within seconds, and trainers for them. Needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from vocab.model.data.shards import TokenStream
from vocab.model.hardware.parallel import join
from vocab.model.network.config import ModelConfig
from vocab.model.network.decoder import Decoder
from vocab.model.network.language_model import LanguageModel
from vocab.model.training.logs import read_log
from vocab.model.training.settings import Cadence, TrainSettings
from vocab.model.training.trainer import Trainer
from vocab.model.training.training_data import DataPart, TrainingData

CONFIG = ModelConfig(n_ids=64, n_layers=2, n_heads=2, n_kv_heads=1, width=16, ffn_width=24, max_seq_len=16, tied=True)
SETTINGS = TrainSettings(
    n_tokens=16 * 8 * 12, seq_len=16, batch=8, micro_batch=4, learning_rate=1e-2, batch_warmup=0.3, spike_window=5
)
CADENCE = Cadence(checkpoint_steps=3, eval_bytes=600, held_out_bytes=200)
END = 63
TOKEN_BYTES = np.where(np.arange(64) == END, 0, np.arange(64) % 5 + 1).astype(np.int32)


def stream(n_documents: int = 120, seed: int = 0) -> TokenStream:
    """Documents of ids that follow one another, which is easily learnt, with an end before each."""
    rng = np.random.default_rng(seed)
    parts, starts, n = [], [], 0
    for _ in range(n_documents):
        begin, size = rng.integers(0, 60), rng.integers(5, 30)
        starts.append(n)
        parts.append(np.concatenate([[END], (begin + np.arange(size)) % 60]))
        n += size + 1
    ids = np.concatenate(parts)
    sizes = np.add.reduceat(TOKEN_BYTES[ids], starts)
    return TokenStream((ids.astype(np.uint16),), np.array(starts), sizes.astype(np.int64))


def data() -> TrainingData:
    """Documents to train on, and others held out."""
    return TrainingData((DataPart("all", 1.0, stream(), stream(20, seed=1)),), TOKEN_BYTES, "a fingerprint")


def trainer(
    out: Path,
    settings: TrainSettings = SETTINGS,
    *,
    config: ModelConfig = CONFIG,
    given: TrainingData | None = None,
    **more: Any,
) -> Trainer:
    """A trainer of a model that is initialised and prepared."""
    model = LanguageModel(Decoder(config, settings.attention), settings.head)
    model.decoder.initialise(settings.seed)
    model.decoder.prepare(torch.float32, documents=settings.masked)
    more.setdefault("cadence", CADENCE)
    out.mkdir(exist_ok=True)
    return Trainer(model, settings, given or data(), out, join("cpu"), **more)


def curve(out: Path) -> list[dict[str, Any]]:
    """Everything in the log of a run but times."""
    rows = read_log(out)
    return [{k: v for k, v in row.items() if "second" not in k} for row in rows]
