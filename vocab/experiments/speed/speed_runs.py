"""Runs of a speed study: cycles over all sizes, a row each, so that a killed study resumes with the next cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vocab.errors import StudyError
from vocab.experiments.rows import CYCLE, StudyRow
from vocab.experiments.run_context import RunContext
from vocab.experiments.speed.speed_analysis import AGAIN
from vocab.experiments.speed.speed_spec import SpeedStudy, TimingSpec
from vocab.model.hardware.machine import machine_name
from vocab.model.hardware.parallel import choose_device
from vocab.model.hardware.precision import usual_dtype
from vocab.model.network.config import ModelConfig, preset
from vocab.model.timing.bench import BenchSettings, calls_for_sizes
from vocab.model.timing.interleave import time_cycle
from vocab.model.timing.kernel_names import longest_kernels
from vocab.model.timing.throughput import clock_mhz

# Calls of each size before the first cycle: the first compiles, the next settle caches and clocks.
_WARM_UP_CALLS = 3


def run_speed(study: SpeedStudy, context: RunContext, names: Sequence[str] = ()) -> None:
    """Run every cycle that has no row of this machine yet, of all timings, or of those of these names.

    Raises StudyError for a name that no timing has.
    """
    known = [timing.name for timing in study.timings]
    if unknown := sorted(set(names) - set(known)):
        raise StudyError(f"{study.name} has no timing {unknown[0]}; it has: {', '.join(known)}")
    for timing in study.timings:
        if names and timing.name not in names:
            continue
        run_timing(study.name, timing, timing.sizes or study.sizes, study.reference, study.seed, context)


def run_timing(
    study: str, timing: TimingSpec, sizes: Sequence[int], reference: int, seed: int, context: RunContext
) -> None:
    """Run the missing cycles of one timing. Each cycle times the size `reference` twice."""
    missing = _missing_keys(study, timing, context)
    if not missing:
        return
    stage, n_before = f"cycles: {timing.name}", timing.cycles - len(missing)
    context.on_progress(stage, n_before, timing.cycles)
    device = choose_device(context.device)
    settings = replace(bench_settings(timing, seed), dtype=usual_dtype(device))
    calls = calls_for_sizes(shape(timing), sorted({reference, *sizes}), settings, device)
    timed_calls = {**calls, AGAIN: calls[str(reference)]}
    _warm_up(timed_calls)
    origin = {**context.origin, "kernels": longest_kernels(calls[str(reference)], device)}
    if device.type == "cuda":  # cuBLAS may choose another kernel for another size, which would explain its time
        first = {"kernels_by_size": {name: longest_kernels(call, device) for name, call in calls.items()}}
    else:
        first = {}
    for n_done, key in enumerate(missing, n_before + 1):
        rng = np.random.default_rng([seed, int(key["cycle"])])
        clock = clock_mhz(device)
        seconds = time_cycle(timed_calls, rng, device, timing.rounds)
        clocks = {"clocks_mhz": [clock, clock_mhz(device)]} if device.type == "cuda" else {}
        context.rows.add(StudyRow(study, key, {"seconds": seconds}, origin | first | clocks))
        first = {}
        context.on_progress(stage, n_done, timing.cycles)


def _missing_keys(study: str, timing: TimingSpec, context: RunContext) -> list[Mapping[str, Any]]:
    machine = machine_name(context.device)
    keys = [{"kind": CYCLE, "timing": timing.name, "machine": machine, "cycle": k} for k in range(timing.cycles)]
    return [key for key in keys if not context.rows.has(study, key)]


def _warm_up(calls: Mapping[str, Callable[[], None]]) -> None:
    for _ in range(_WARM_UP_CALLS):
        for call in calls.values():
            call()


def shape(timing: TimingSpec) -> ModelConfig:
    """The model whose step or head is timed."""
    config = preset(timing.preset)
    if timing.width is None:
        return config
    n_heads = max(1, timing.width // 64)
    ffn_width = config.ffn_width * timing.width // config.width
    return config.with_fields(
        {"width": timing.width, "n_heads": n_heads, "n_kv_heads": n_heads, "ffn_width": ffn_width}
    )


def bench_settings(timing: TimingSpec, seed: int) -> BenchSettings:
    """The same timing as settings of `vocab bench`."""
    config, compiled = shape(timing), timing.mode != "eager"
    seq_len = min(config.max_seq_len, timing.n_tokens)
    return BenchSettings(
        batch=max(1, timing.n_tokens // seq_len),
        seq_len=seq_len,
        part=timing.part,
        head=timing.head or ("compiled" if compiled else "plain"),
        compile=compiled,
        padding=timing.mode != "compiled-unpadded",
        cycles=timing.cycles,
        seed=seed,
    )
