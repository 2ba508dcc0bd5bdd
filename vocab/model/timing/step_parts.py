"""Where the time of a step goes: trunk, head and loss, optimiser."""

from __future__ import annotations

import statistics
import time

import torch

from vocab.model.hardware.precision import autocast
from vocab.model.network.config import ModelConfig
from vocab.model.network.decoder import Decoder
from vocab.model.network.language_model import LanguageModel
from vocab.model.timing.bench import BenchSettings
from vocab.model.timing.throughput import synchronise


def time_by_part(
    model: LanguageModel, optimiser: torch.optim.Optimizer, ids: torch.Tensor, device: torch.device, dtype: torch.dtype
) -> dict[str, float]:
    """Seconds of each part of one step: trunk and head forward, both backward, optimiser.

    The device is waited for after each part, so that their sum is a little more than a whole step takes.

    Args:
        model: prepared; its weights take the step.
        optimiser: of the weights.
        ids: (B, T + 1) int64.
        device: where the model is.
        dtype: of products.
    """
    marks = [("", time.perf_counter())]

    def mark(name: str) -> None:
        synchronise(device)
        marks.append((name, time.perf_counter()))

    mark("start")
    with autocast(device, dtype):
        hidden = model.decoder(ids[:, :-1])
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


def median_by_part(config: ModelConfig, settings: BenchSettings, device: torch.device) -> dict[str, float]:
    """Medians of `time_by_part` over `settings.cycles` steps, after two that warm up."""
    model = LanguageModel(Decoder(config), settings.head).to(device)
    model.decoder.initialise(settings.seed)
    model.decoder.prepare(settings.dtype)
    if settings.compile:
        model.decoder.compile_blocks()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids = torch.randint(0, config.n_ids, (settings.batch, settings.seq_len + 1), device=device)
    steps = [time_by_part(model, optimiser, ids, device, settings.dtype) for _ in range(settings.cycles + 2)][2:]
    return {name: statistics.median(seconds[name] for seconds in steps) for name in steps[0]}
