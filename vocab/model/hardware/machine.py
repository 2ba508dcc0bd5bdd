"""The machine that figures are of: processor, cores, threads, GPU and versions."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import Any

import torch

from vocab.environment import processor, versions

_PACKAGES = ("torch", "safetensors", "triton", "flash-attn", "liger-kernel", "cut-cross-entropy", "torchao")


def machine(device: str) -> Mapping[str, Any]:
    """Processor, cores, system and threads, and the GPU when `device` is "cuda", as JSON types."""
    described: dict[str, Any] = {"processor": processor(), "n_cores": os.cpu_count(), "system": platform.system()}
    described["n_threads"] = torch.get_num_threads()
    if device == "cuda":
        described |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    return described


def device_name(device: torch.device) -> str:
    """The name of the GPU or of the processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


def hardware(device: torch.device) -> dict[str, Any]:
    """Device, threads and CUDA version behind a figure, as JSON types."""
    return {"device": device_name(device), "threads": torch.get_num_threads(), "cuda": torch.version.cuda}


def training_versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that training runs on."""
    return dict(versions(*_PACKAGES))


def machine_name(device: str) -> str:
    """A short name of the machine, for keys and tables; a GPU's has the beginning of its serial identity.

    Two GPUs of one model differ by more than a timing resolves, so that their rows must not mix.
    """
    about = machine(device)
    if device == "cuda":
        return f"{about['gpu']} {str(torch.cuda.get_device_properties().uuid)[:8]}"
    return f"{about['processor']}, {about['n_threads']} threads"
