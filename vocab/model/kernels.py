"""The kernels that a step really runs, by the profiler: names of GPU kernels, or of operators on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.profiler import ProfilerActivity, profile

from vocab.model.evaluate import autocast, on_device

if TYPE_CHECKING:
    from vocab.model.trainer import Trainer

_N_SHOWN = 12


def kernel_names(trainer: Trainer) -> list[str]:
    """The dozen that take longest in one forward and backward pass, longest first; weights stay as they are."""
    device, settings = trainer.workers.device, trainer.settings
    batch = trainer.sampler.batch(0, min(settings.micro_batch, settings.batch), settings.seed)
    ids, targets, numbers = on_device(batch, device)
    precision = torch.float32 if settings.precision == "float32" else torch.bfloat16
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as seen:
        with autocast(device, precision):
            total = trainer.model(ids, targets, numbers).total
        total.backward()
    trainer.optimiser.zero_grad()
    rows = sorted(
        seen.key_averages(), key=lambda row: -(row.self_device_time_total if on_gpu else row.self_cpu_time_total)
    )
    return [row.key for row in rows[:_N_SHOWN]]
