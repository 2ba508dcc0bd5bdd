"""Batches as tensors where the model is."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vocab.model.data.sampling import Batch


def on_device(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
    """Ids, targets and document numbers of a batch as tensors (B, T), through pinned memory on a GPU."""
    arrays = [batch.ids, batch.targets, batch.documents]
    tensors = [None if array is None else torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
    if device.type == "cuda":
        tensors = [None if x is None else x.pin_memory().to(device, non_blocking=True) for x in tensors]
    ids, targets, numbers = tensors
    assert ids is not None
    assert targets is not None
    return ids, targets, numbers
