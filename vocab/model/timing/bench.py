"""Time a training step, or the head alone, over sizes of vocabulary, interleaved so that a drifting clock cancels.

All sizes run in one process on random data. Each cycle takes them in a random order and then in its reverse, with the
reference size twice (its second copy is the A/A pair, whose ratio shows the noise). The estimate for a size is the
median over cycles of log(t / t_ref); its interval comes from resampling cycles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vocab.choices import TimedPart
from vocab.errors import TrainingError
from vocab.model.network.config import ModelConfig
from vocab.model.network.decoder import Decoder
from vocab.model.network.head import LanguageModel, head_loss
from vocab.model.timing.interleave import time_cycle
from vocab.model.timing.kernel_names import longest_kernels
from vocab.model.timing.throughput import clock_mhz, peak_memory_bytes
from vocab.model.training.freed_memory import keep_freed_memory
from vocab.model.training.held_out_loss import autocast

AA = "reference again"
_RESAMPLES = 1000
_WARM_UP = 3
_LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class Timing:
    """One size: seconds are over cycles; ratio is to the reference, its interval holds 95% of resamples.

    `flops` are those of one call; `clocks_mhz` the GPU's clock before and after all cycles, None where unknown;
    `peak_memory_bytes` is that of the size alone on a GPU, of the program elsewhere.
    """

    name: str
    n_ids: int
    seconds: float
    seconds_quartiles: tuple[float, float]
    ratio: float
    low: float
    high: float
    n_cycles: int
    flops: float
    peak_memory_bytes: int
    kernels: list[str]
    clocks_mhz: tuple[int | None, int | None]


@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """What is timed: `seq_len` tokens in each of `batch` sequences, forward, backward and, in a step, AdamW."""

    batch: int
    seq_len: int
    part: TimedPart = "head"
    head: str = "chunked"
    compile: bool = False
    padding: bool = True  # whether the compiler may pad shapes; it does by default, which hides what a size costs
    dtype: torch.dtype = torch.float32
    cycles: int = 20
    seed: int = 0

    @property
    def n_tokens(self) -> int:
        """Tokens of a call."""
        return self.batch * self.seq_len


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
    rng = np.random.default_rng(settings.seed)
    calls = calls_for_sizes(config, [reference, *sizes], settings, device)
    facts = {name: _warm(call, device) for name, call in calls.items()}
    calls[AA], facts[AA] = calls[str(reference)], facts[str(reference)]
    before = clock_mhz(device)
    seconds = _cycles(calls, settings.cycles, rng, device, on_cycle)
    clocks = before, clock_mhz(device)
    base = seconds[str(reference)]
    rows = []
    for name, n_ids in ({str(size): size for size in sizes} | {AA: reference}).items():
        low, high = np.quantile(seconds[name], [0.25, 0.75]).tolist()
        middle = float(np.median(seconds[name]))
        flops = flops_of(config.with_fields({"n_ids": n_ids}), settings)
        ratios = ratio_interval(seconds[name], base, rng)
        rows.append(Timing(name, n_ids, middle, (low, high), *ratios, settings.cycles, flops, *facts[name], clocks))
    return rows


def flops_of(config: ModelConfig, settings: BenchSettings) -> float:
    """FLOPs of a call: those of `ModelConfig.flops_per_token`, or of the head's three products."""
    if settings.part == "head":
        return 6.0 * config.n_ids * config.width * settings.n_tokens
    return config.flops_per_token(settings.seq_len) * settings.n_tokens


def _warm(call: Callable[[], None], device: torch.device) -> tuple[int, list[str]]:
    """Compile and warm up; then peak memory and kernels."""
    for _ in range(_WARM_UP):
        call()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    names = longest_kernels(call, device)
    return peak_memory_bytes(device), names


def _cycles(
    calls: Mapping[str, Callable[[], None]],
    n_cycles: int,
    rng: np.random.Generator,
    device: torch.device,
    on_cycle: Callable[[int], None] | None,
) -> dict[str, npt.NDArray[np.float64]]:
    """Seconds (n_cycles,) of each call: the mean of its two places in each cycle."""
    seconds = {name: np.zeros(n_cycles) for name in calls}
    for cycle in range(n_cycles):
        for name, found in time_cycle(calls, rng, device).items():
            seconds[name][cycle] = found
        if on_cycle:
            on_cycle(cycle + 1)
    return seconds


def ratio_interval(
    ours: npt.NDArray[np.float64], base: npt.NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, float, float]:
    """Median over cycles of ours / base, and the bounds of 95% of resamples of cycles."""
    logs = np.log(ours / base)
    medians = np.median(rng.choice(logs, (_RESAMPLES, logs.size)), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return math.exp(float(np.median(logs))), math.exp(low), math.exp(high)


def calls_for_sizes(
    config: ModelConfig, sizes: Sequence[int], settings: BenchSettings, device: torch.device
) -> dict[str, Callable[[], None]]:
    """What is timed for each size, by its digits; the decoder's blocks are built and compiled once for all of them."""
    torch.manual_seed(settings.seed)
    if device.type == "cpu":
        keep_freed_memory()
    if settings.compile or settings.head == "compiled":
        _set_up_compiler(len(sizes), padding=settings.padding)
    if settings.part == "head":
        rows = _Rows.of(max(sizes), config.width, device)
        return {str(size): _head_call(rows, size, settings, device) for size in sizes}
    decoder = Decoder(config.with_fields({"n_ids": 1, "tied": config.tied}))
    decoder.initialise(settings.seed)
    model = LanguageModel(decoder, settings.head).to(device)
    decoder.prepare(settings.dtype)
    if settings.compile:
        model.trunk = torch.compile(decoder.trunk)
    shared = [*decoder.blocks.parameters(), *decoder.norm.parameters()]
    trunk = torch.optim.AdamW(shared, lr=_LEARNING_RATE, fused=True)
    matrices = [_Rows.of(max(sizes), config.width, device) for _ in range(1 if config.tied else 2)]
    return {str(size): _step_call(model, size, matrices, trunk, settings, device) for size in sizes}


@dataclass(frozen=True)
class _Rows:
    """Weight (n, width) and AdamW's two moments of it, of which every size takes the first rows.

    Where a block of memory lies changes a size's time by up to 1% on a CPU, so all sizes take the same block.
    """

    weight: Tensor
    moments: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, n: int, width: int, device: torch.device) -> _Rows:
        weight = torch.randn(n, width, device=device) * 0.02
        return cls(weight, (torch.zeros_like(weight), torch.zeros_like(weight)))

    def parameter(self, size: int) -> nn.Parameter:
        return nn.Parameter(self.weight[:size])

    def hand_over(self, parameter: nn.Parameter, optimiser: torch.optim.AdamW) -> None:
        """Make these moments the optimiser's, which would otherwise allocate its own."""
        mean, square = (moment[: len(parameter)] for moment in self.moments)
        step = torch.zeros((), dtype=torch.float32, device=parameter.device)
        optimiser.state[parameter] = {"step": step, "exp_avg": mean, "exp_avg_sq": square}


def _set_up_compiler(n_sizes: int, *, padding: bool) -> None:
    """A compiled head is compiled anew for each size; past its limit torch would silently run it uncompiled."""
    from torch._dynamo import config as dynamo
    from torch._inductor import config as inductor

    torch._dynamo.reset()
    dynamo.recompile_limit = max(dynamo.recompile_limit, n_sizes + 8)
    inductor.shape_padding = inductor.comprehensive_padding = padding


def _head_call(rows: _Rows, size: int, settings: BenchSettings, device: torch.device) -> Callable[[], None]:
    n = settings.n_tokens
    hidden = torch.randn(n, rows.weight.shape[1], device=device, dtype=settings.dtype, requires_grad=True)
    weight = rows.parameter(size)
    targets = torch.randint(0, size, (n,), device=device)
    loss = head_loss(settings.head)

    def call() -> None:
        hidden.grad = weight.grad = None
        with autocast(device, settings.dtype):
            total = loss(hidden, weight, targets).total
        torch.autograd.backward(total / n)

    return call


def _step_call(
    model: LanguageModel,
    size: int,
    matrices: Sequence[_Rows],
    trunk: torch.optim.Optimizer,
    settings: BenchSettings,
    device: torch.device,
) -> Callable[[], None]:
    """`matrices` are those of the embedding and, where the two are not tied, of the head."""
    decoder, width = model.decoder, model.decoder.config.width
    weights = [rows.parameter(size) for rows in matrices]
    own = torch.optim.AdamW(weights, lr=_LEARNING_RATE, fused=True)
    for rows, weight in zip(matrices, weights, strict=True):
        rows.hand_over(weight, own)
    with torch.device("meta"):
        embedding = nn.Embedding(size, width)
        head = None if decoder.config.tied else nn.Linear(width, size, bias=False)
    embedding.weight = weights[0]
    if head is not None:
        head.weight = weights[1]
    ids = torch.randint(0, size, (settings.batch, settings.seq_len + 1), device=device)

    def call() -> None:
        decoder.embedding, decoder.head = embedding, head
        with autocast(device, settings.dtype):
            total = model(ids[:, :-1], ids[:, 1:]).total
        torch.autograd.backward(total / ids[:, 1:].numel())
        for optimiser in (trunk, own):
            optimiser.step()
            optimiser.zero_grad()

    return call
