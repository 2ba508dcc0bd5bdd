"""The rows that a benchmark writes: JSON objects with their hardware, versions and settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from vocab.model.hardware.machine import hardware, training_versions
from vocab.model.network.config import ModelConfig
from vocab.model.timing.bench import BenchSettings, Timing
from vocab.model.timing.throughput import MFU_FORMULA, Peak
from vocab.writing import write_json_lines


def json_row(
    timing: Timing,
    config: ModelConfig,
    settings: BenchSettings,
    top: Peak,
    bytes_per_token: Mapping[int, float],
    device: torch.device,
) -> dict[str, Any]:
    """The row of one timing: speeds, and all that they depend on.

    Args:
        timing: of one size.
        config: shape of the model.
        settings: of the benchmark.
        top: the peak FLOP/s that shares are of.
        bytes_per_token: bytes of text a token at each size; without it a row has no bytes a second.
        device: where it ran.
    """
    rate = settings.n_tokens / timing.seconds
    n_bytes = bytes_per_token.get(timing.n_ids)
    return {
        **asdict(timing),
        "tokens_per_second": rate,
        "bytes_per_second": None if n_bytes is None else rate * n_bytes,
        "share_of_peak": timing.flops / timing.seconds / top.flops,
        "peak": asdict(top),
        "flops_formula": MFU_FORMULA if settings.part == "step" else "6 × ids × width × tokens",
        "model": asdict(config.with_fields({"n_ids": timing.n_ids})),
        "settings": {**asdict(settings), "dtype": str(settings.dtype)},
        "hardware": hardware(device),
        "versions": training_versions(),
    }


def write_rows(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write rows as JSON lines; raises OutputError when the file cannot be written."""
    write_json_lines(path, rows)
