"""What products are computed in: float32, or bfloat16 under autocast."""

from __future__ import annotations

import torch

from vocab.choices import Precision


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """A block in which products are bfloat16 when `dtype` is bfloat16, and unchanged otherwise."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)


def product_dtype(precision: Precision) -> torch.dtype:
    """The dtype of products outside float8 kernels: bfloat16 unless `precision` is "float32"."""
    return torch.float32 if precision == "float32" else torch.bfloat16


def usual_dtype(device: torch.device) -> torch.dtype:
    """What models are trained in there: bfloat16 on a GPU, float32 elsewhere."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def usual_precision(device: str) -> Precision:
    """What `device` ("auto", "cpu" or "cuda") is trained in by default: bfloat16 on a GPU, float32 elsewhere."""
    return "bfloat16" if device != "cpu" and torch.cuda.is_available() else "float32"
