"""What times depend on: processor, cores, threads, GPU and versions."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

import torch

from vocab.environment import processor, versions

_PACKAGES = ("torch", "safetensors", "triton", "flash-attn", "liger-kernel", "cut-cross-entropy", "torchao")


def machine(device: str) -> Mapping[str, Any]:
    """The processor, its cores, and the GPU that `device` ("cpu" or "cuda") means, as JSON types."""
    found: dict[str, Any] = {"processor": processor(), "n_cores": os.cpu_count(), "system": platform.system()}
    found["n_threads"] = torch.get_num_threads()
    if device == "cuda":
        found |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    return found


def device_name(device: torch.device) -> str:
    """The name of the GPU or of the processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


def hardware(device: torch.device) -> dict[str, Any]:
    """The device that figures are of."""
    return {"device": device_name(device), "threads": torch.get_num_threads(), "cuda": torch.version.cuda}


def training_versions() -> dict[str, str]:
    """Versions of what training runs on, of what is installed."""
    return dict(versions(*_PACKAGES))


def machine_name(device: str) -> str:
    """A short name of the machine for keys and tables."""
    about = machine(device)
    return str(about.get("gpu") or f"{about['processor']}, {about['n_threads']} threads")


def usual_dtype(device: torch.device) -> torch.dtype:
    """What models are trained in there: bfloat16 on a GPU, float32 elsewhere."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32
