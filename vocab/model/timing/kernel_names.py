"""The kernels that a call runs, by the profiler: names of GPU kernels, or of operators on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.profiler import profile as cpu_profile
from torch.profiler import ProfilerActivity, profile

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
    """A profiler: Kineto on a GPU; on a CPU the older one, which sees as much and prints nothing."""
    if on_gpu:
        return profile(activities=[ProfilerActivity.CUDA])
    return cpu_profile(use_kineto=False)
