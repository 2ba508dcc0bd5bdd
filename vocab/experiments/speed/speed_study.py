"""Runs of a speed study: cycles over all sizes, a row each, so that a killed study goes on with the next cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vocab.experiments.rows import CYCLE, Row, RowFile
from vocab.experiments.spec import Spec, SpeedSpec, Timing
from vocab.experiments.speed.speed_analysis import AGAIN
from vocab.model.network.config import ModelConfig, preset
from vocab.model.timing.bench import BenchSettings, calls_for_sizes
from vocab.model.timing.interleave import time_cycle
from vocab.model.timing.kernel_names import longest_kernels
from vocab.model.timing.machine import machine_name, usual_dtype
from vocab.model.training.parallel import choose_device

Heard = Callable[[str, int, int], None]
# Calls of each size before the first cycle: the first compiles, the next settle caches and clocks.
_WARM_UP_CALLS = 3


def run_speed(spec: Spec, speed: SpeedSpec, rows: RowFile, device: str, origin: Mapping[str, Any], hear: Heard) -> None:
    """Every cycle of every timing that has no row of this machine yet."""
    for timing in speed.timings:
        sizes = timing.sizes or speed.sizes
        run_timing(spec.name, timing, sizes, speed.reference, speed.seed, rows, device, origin, hear)


def run_timing(
    study: str,
    timing: Timing,
    sizes: Sequence[int],
    reference: int,
    seed: int,
    rows: RowFile,
    device: str,
    origin: Mapping[str, Any],
    hear: Heard,
) -> None:
    """The cycles of one timing that are missing; the reference stands in each twice."""
    machine, what = machine_name(device), f"cycles: {timing.name}"
    keys = [
        {"kind": CYCLE, "timing": timing.name, "machine": machine, "cycle": cycle} for cycle in range(timing.cycles)
    ]
    missing = [key for key in keys if not rows.has(study, key)]
    if not missing:
        return
    hear(what, timing.cycles - len(missing), timing.cycles)
    place = choose_device(device)
    settings = replace(bench_settings(timing, seed), dtype=usual_dtype(place))
    calls = calls_for_sizes(shape(timing), sorted({reference, *sizes}), settings, place)
    named = {**calls, AGAIN: calls[str(reference)]}
    for _ in range(_WARM_UP_CALLS):
        for call in named.values():
            call()
    about = {**origin, "kernels": longest_kernels(calls[str(reference)], place)}
    for done, key in enumerate(missing, timing.cycles - len(missing) + 1):
        order = np.random.default_rng([seed, int(str(key["cycle"]))])
        rows.add(Row(study, key, {"seconds": time_cycle(named, order, place, timing.rounds)}, about))
        hear(what, done, timing.cycles)


def shape(timing: Timing) -> ModelConfig:
    """The model whose step or head is timed."""
    found = preset(timing.preset)
    if timing.width is None:
        return found
    heads = max(1, timing.width // 64)
    ffn_width = found.ffn_width * timing.width // found.width
    return found.with_fields({"width": timing.width, "n_heads": heads, "n_kv_heads": heads, "ffn_width": ffn_width})


def bench_settings(timing: Timing, seed: int) -> BenchSettings:
    """How `vocab bench` would be told to time this."""
    config, compiled = shape(timing), timing.mode != "eager"
    seq_len = min(config.max_seq, timing.n_tokens)
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
