"""Tokens, bytes and FLOPs a second: medians, spreads, and the share of the peak (MFU)."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from vocab.model.network.config import ModelConfig

# Dense bfloat16 FLOP/s in the makers' data sheets, by what the device's name contains.
_SHEET = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "4090": 165e12, "3090": 71e12}
MFU_FORMULA = "tokens/s × (6 × matmul parameters + 12 × layers × width × sequence) / peak"


@dataclass(frozen=True)
class Peak:
    """The FLOP/s that MFU is a share of.

    Attributes:
        flops: FLOPs a second.
        source: where the figure is from.
    """

    flops: float
    source: str


def peak(device: torch.device) -> Peak:
    """Peak of a device: the data sheet's for known GPUs, elsewhere the best of a few products, measured now."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for key, flops in _SHEET.items():
            if key in name:
                return Peak(flops, f"data sheet, dense bfloat16, {name}")
    return Peak(_measured(device), "measured product of 1024 × 1024 float32 matrices")


def _measured(device: torch.device, n: int = 1024, repeats: int = 5) -> float:
    a, b = torch.randn(2, n, n, device=device)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        (a @ b).sum().item()
        best = min(best, time.perf_counter() - started)
    return 2 * n**3 / best


@dataclass(frozen=True)
class Throughput:
    """Speed of steps of the same size.

    Attributes:
        tokens_per_second: by the median step.
        bytes_per_second: bytes of text, by the median step.
        step_seconds: of the median step.
        step_seconds_quartiles: first and third quartile of the steps.
        mfu: share of the peak FLOP/s, by MFU_FORMULA.
        mfu_causal: the same without the scores that a causal mask hides.
        n_steps: steps measured.
    """

    tokens_per_second: float
    bytes_per_second: float
    step_seconds: float
    step_seconds_quartiles: tuple[float, float]
    mfu: float
    mfu_causal: float
    n_steps: int

    @classmethod
    def of(
        cls,
        seconds: list[float],
        n_tokens: int,
        bytes_per_token: float,
        config: ModelConfig,
        seq_len: int,
        peak_flops: float,
    ) -> Throughput:
        """From wall-clock seconds of steps of `n_tokens` tokens each; `peak_flops` is of all devices together."""
        middle = statistics.median(seconds)
        low, _, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else (middle, middle, middle)
        rate = n_tokens / middle
        return cls(
            tokens_per_second=rate,
            bytes_per_second=rate * bytes_per_token,
            step_seconds=middle,
            step_seconds_quartiles=(low, high),
            mfu=rate * config.flops_per_token(seq_len) / peak_flops,
            mfu_causal=rate * config.flops_per_token(seq_len, causal=True) / peak_flops,
            n_steps=len(seconds),
        )


def peak_memory_bytes(device: torch.device) -> int:
    """Most bytes since the start: of tensors on a GPU, of the whole program elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def synchronise(device: torch.device) -> None:
    """Wait for a GPU to finish; does nothing elsewhere."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call: between events on a GPU, by the clock elsewhere."""
    if device.type != "cuda":
        started = time.perf_counter()
        call()
        return time.perf_counter() - started
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    call()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


def clock_mhz(device: torch.device) -> int | None:
    """The GPU's clock now; None without a GPU or without its driver's Python library."""
    if device.type != "cuda":
        return None
    try:
        return torch.cuda.clock_rate(device)
    except Exception:  # noqa: BLE001 - pynvml's own errors are of no common type, and it may be missing
        return None
