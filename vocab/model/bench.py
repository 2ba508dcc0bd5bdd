"""Time a training step, or the head alone, over sizes of vocabulary, interleaved so that a drifting clock cancels.

All sizes run in one process on random data. Each cycle takes them in a random order and then in its reverse, with the
reference size twice (its second copy is the A/A pair, whose ratio shows the noise). The estimate for a size is the
median over cycles of log(t / t_ref); its interval comes from resampling cycles.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from vocab.errors import TrainingError
from vocab.model.config import ModelConfig
from vocab.model.cycles import time_cycle
from vocab.model.decoder import Decoder
from vocab.model.evaluate import autocast
from vocab.model.head import LanguageModel, head_loss
from vocab.model.throughput import synchronise

Part = Literal["step", "head"]
AA = "reference again"
_RESAMPLES = 1000


@dataclass(frozen=True)
class Timing:
    """One size against the reference: seconds are the median over cycles; the interval holds 95% of resamples."""

    name: str
    n_ids: int
    seconds: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """What is timed: `n_seq` tokens in each of `batch` sequences, forward, backward and, in a step, AdamW."""

    batch: int
    n_seq: int
    part: Part = "head"
    head: str = "chunked"
    compile: bool = False
    dtype: torch.dtype = torch.float32
    cycles: int = 20
    seed: int = 0


def bench_sizes(
    config: ModelConfig,
    sizes: Sequence[int],
    reference: int,
    settings: BenchSettings,
    device: torch.device,
    on_cycle: Callable[[int], None] | None = None,
) -> list[Timing]:
    """Timings of sizes, in their order, the A/A pair last. Raises TrainingError for no sizes or too few cycles."""
    if not sizes or settings.cycles < 2:
        raise TrainingError("a benchmark needs at least one size and two cycles")
    calls = calls_for_sizes(config, [reference, *sizes], settings, device)
    calls[AA] = calls[str(reference)]
    for call in calls.values():  # compile and warm up
        call()
    rng = np.random.default_rng(settings.seed)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for cycle in range(settings.cycles):
        for name, value in time_cycle(calls, rng, device).items():
            seconds[name].append(value)
        if on_cycle:
            on_cycle(cycle + 1)
    wanted = {str(size): size for size in sizes} | {AA: reference}
    return [_timing(name, n_ids, seconds[name], seconds[str(reference)], rng) for name, n_ids in wanted.items()]


def _timing(name: str, n_ids: int, ours: list[float], base: list[float], rng: np.random.Generator) -> Timing:
    logs = np.log(np.array(ours) / np.array(base))
    medians = np.median(rng.choice(logs, (_RESAMPLES, logs.size)), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    middle = float(np.median(logs))
    return Timing(name, n_ids, statistics.median(ours), math.exp(middle), math.exp(low), math.exp(high))


def calls_for_sizes(
    config: ModelConfig, sizes: Sequence[int], settings: BenchSettings, device: torch.device
) -> dict[str, Callable[[], None]]:
    """What is timed for each size; the decoder's blocks are built and compiled once for all of them."""
    if settings.part == "head":
        return {str(size): _head_call(config, size, settings, device) for size in sizes}
    decoder = Decoder(config.with_fields({"n_ids": 1, "tied": config.tied}))
    decoder.initialise(settings.seed)
    model = LanguageModel(decoder, settings.head).to(device)
    decoder.prepare(settings.dtype)
    if settings.compile:
        model.trunk = torch.compile(decoder.trunk)
    shared = [*decoder.blocks.parameters(), *decoder.norm.parameters()]
    trunk = torch.optim.AdamW(shared, lr=1e-4, fused=True)
    return {str(size): _step_call(model, size, trunk, settings, device) for size in sizes}


def _head_call(config: ModelConfig, size: int, settings: BenchSettings, device: torch.device) -> Callable[[], None]:
    n = settings.batch * settings.n_seq
    hidden = torch.randn(n, config.width, device=device, dtype=settings.dtype, requires_grad=True)
    weight = (torch.randn(size, config.width, device=device) * 0.02).requires_grad_()
    targets = torch.randint(0, size, (n,), device=device)
    loss = head_loss(settings.head)

    def call() -> None:
        hidden.grad = weight.grad = None
        with autocast(device, settings.dtype):
            total = loss(hidden, weight, targets).total
        torch.autograd.backward(total / n)

    return call


def _step_call(
    model: LanguageModel, size: int, trunk: torch.optim.Optimizer, settings: BenchSettings, device: torch.device
) -> Callable[[], None]:
    decoder = model.decoder
    width = decoder.config.width
    embedding = nn.Embedding(size, width, device=device)
    head = None if decoder.config.tied else nn.Linear(width, size, bias=False, device=device)
    own = torch.optim.AdamW([*embedding.parameters(), *(head.parameters() if head else [])], lr=1e-4, fused=True)
    ids = torch.randint(0, size, (settings.batch, settings.n_seq + 1), device=device)

    def call() -> None:
        decoder.embedding, decoder.head = embedding, head
        with autocast(device, settings.dtype):
            total = model(ids[:, :-1], ids[:, 1:]).total
        torch.autograd.backward(total / ids[:, 1:].numel())
        for optimiser in (trunk, own):
            optimiser.step()
            optimiser.zero_grad()

    return call


def time_by_part(
    model: LanguageModel, optimiser: torch.optim.Optimizer, ids: torch.Tensor, device: torch.device, dtype: torch.dtype
) -> Mapping[str, float]:
    """Seconds of one step by part, each waited for, so that their sum is a little more than a step without waiting.

    `ids` is (B, T + 1) int64. Parts: trunk forward, head and loss forward, backward of both, optimiser.
    """
    marks = [("", time.perf_counter())]

    def mark(name: str) -> None:
        synchronise(device)
        marks.append((name, time.perf_counter()))

    mark("start")
    with autocast(device, dtype):
        hidden = model.trunk(model.decoder.embed(ids[:, :-1]), None)
        mark("trunk forward")
        cut = hidden.detach().requires_grad_()
        total = model.loss(cut.flatten(0, 1), model.decoder.head_weight, ids[:, 1:].flatten()).total
        mark("head and loss forward")
    torch.autograd.backward(total / ids[:, 1:].numel())
    mark("head and loss backward")
    torch.autograd.backward(hidden, cut.grad)
    mark("trunk backward")
    optimiser.step()
    optimiser.zero_grad()
    mark("optimiser")
    return {name: at - before for (name, at), (_, before) in zip(marks[2:], marks[1:], strict=False)}
