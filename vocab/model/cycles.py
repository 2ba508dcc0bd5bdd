"""One cycle of interleaved timing, and what must be fresh or known for timings to compare."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from vocab.model.throughput import synchronise

_N_KERNELS = 8


def time_cycle(
    calls: Mapping[str, Callable[[], None]], rng: np.random.Generator, device: torch.device
) -> dict[str, float]:
    """Seconds of each call: the mean of two, one in a random order of all and one in its reverse."""
    names = [list(calls)[k] for k in rng.permutation(len(calls))]
    seconds = dict.fromkeys(calls, 0.0)
    for name in [*names, *reversed(names)]:
        synchronise(device)
        started = time.perf_counter()
        calls[name]()
        synchronise(device)
        seconds[name] += (time.perf_counter() - started) / 2
    return seconds


@contextmanager
def freshly_compiled(*, padding: bool) -> Iterator[None]:
    """Nothing compiled is left over from before, and inductor pads shapes or not."""
    torch._dynamo.reset()
    from torch._inductor import config

    with config.patch(shape_padding=padding, comprehensive_padding=padding):
        yield
    torch._dynamo.reset()


def kernels_of(call: Callable[[], None], device: torch.device) -> list[str]:
    """Names of what takes longest in a call, longest first: kernels of a GPU, operators of a CPU."""
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as seen:
        call()
    rows = sorted(
        seen.key_averages(), key=lambda row: -(row.self_device_time_total if on_gpu else row.self_cpu_time_total)
    )
    return [row.key for row in rows[:_N_KERNELS]]


def usual_dtype(device: torch.device) -> torch.dtype:
    """What models are trained in there: bfloat16 on a GPU, float32 elsewhere."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32
