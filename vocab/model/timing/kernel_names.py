"""The kernels that a step really runs, by the profiler: names of GPU kernels, or of operators on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.profiler import profile as cpu_profile
from torch.profiler import ProfilerActivity, profile

from vocab.model.training.held_out_loss import autocast, on_device

if TYPE_CHECKING:
    from vocab.model.training.trainer import Trainer

_N_SHOWN = 12


def longest_kernels(call: Callable[[], object], device: torch.device) -> list[str]:
    """Names of the dozen kernels that take longest in a call, longest first."""
    on_gpu = device.type == "cuda"
    with _profiler(on_gpu) as seen:
        call()
    rows = sorted(
        seen.key_averages(), key=lambda row: -(row.self_device_time_total if on_gpu else row.self_cpu_time_total)
    )
    return [row.key for row in rows[:_N_SHOWN]]


def _profiler(on_gpu: bool) -> Any:
    """Kineto sees kernels of a GPU; on a CPU the older profiler sees as much, and writes nothing to the terminal."""
    if on_gpu:
        return profile(activities=[ProfilerActivity.CUDA])
    return cpu_profile(use_kineto=False)


def kernel_names(trainer: Trainer) -> list[str]:
    """Those of one forward and backward pass of a run; weights stay as they are."""
    device, settings = trainer.workers.device, trainer.settings
    batch = trainer.sampler.batch(0, min(settings.micro_batch, settings.batch), settings.seed)
    ids, targets, numbers = on_device(batch, device)
    precision = torch.float32 if settings.precision == "float32" else torch.bfloat16

    def both() -> None:
        with autocast(device, precision):
            total = trainer.model(ids, targets, numbers).total
        torch.autograd.backward(total)

    names = longest_kernels(both, device)
    trainer.optimiser.zero_grad()
    return names
