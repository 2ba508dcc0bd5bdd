"""Batches as tensors where the model is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vocab.model.data.sampling import Batch


def tensor_on(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """An array as a tensor, through pinned memory on a GPU, so that the program does not wait for the copy."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def on_device(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
    """Ids, targets and document numbers of a batch as tensors (B, T)."""
    numbers = None if batch.documents is None else tensor_on(batch.documents, device)
    return tensor_on(batch.ids, device), tensor_on(batch.targets, device), numbers
