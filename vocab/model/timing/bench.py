"""Time a training step, or the head alone, over sizes of vocabulary, interleaved so that a drifting clock cancels.

All sizes run in one process on random data. Each cycle takes them in a random order and then in its reverse. The
reference size is in each cycle twice: the ratio of the two, an A/A test, shows the noise. The estimate for a size is
the median over cycles of log(t / t_ref); its interval comes from resampling cycles.
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
from vocab.model.hardware.freed_memory import keep_freed_memory
from vocab.model.hardware.precision import autocast
from vocab.model.network.config import ModelConfig
from vocab.model.network.decoder import Decoder
from vocab.model.network.head import head_loss
from vocab.model.network.language_model import LanguageModel
from vocab.model.timing.interleave import time_cycle
from vocab.model.timing.kernel_names import longest_kernels
from vocab.model.timing.throughput import clock_mhz, peak_memory_bytes

AA = "reference again"
_RESAMPLES = 1000
_WARM_UP = 3
_LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class Timing:
    """Times of one size.

    Attributes:
        name: the size in digits, or AA for the second copy of the reference.
        n_ids: the size.
        seconds: of one call, median over cycles.
        seconds_quartiles: of the cycles.
        ratio: of the time to the reference's, median over cycles.
        low: lower bound of the 95% interval of `ratio`.
        high: upper bound of it.
        n_cycles: cycles.
        flops: FLOPs of one call.
        peak_memory_bytes: most memory of the size alone on a GPU, of the whole program elsewhere.
        kernels: names of the longest kernels, longest first.
        clocks_mhz: the GPU's clock before and after all cycles, None where unknown.
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
    """What is timed, and how often.

    Attributes:
        batch: sequences of a call.
        seq_len: tokens of a sequence.
        part: "head" (projection and loss, forward and backward) or "step" (a whole training step, with AdamW).
        head: name of the head, a key of `vocab.model.network.head.HEADS`.
        compile: whether the decoder's blocks run through torch.compile.
        padding: whether the compiler may pad shapes. It does by default, which hides what a size costs.
        dtype: of products: float32, or bfloat16 under autocast.
        cycles: each times every size twice.
        seed: of the order and of the data.
    """

    batch: int
    seq_len: int
    part: TimedPart = "head"
    head: str = "chunked"
    compile: bool = False
    padding: bool = True
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
    """Time sizes of vocabulary against a reference.

    Args:
        config: shape of the model; `n_ids` is replaced by each size.
        sizes: numbers of ids.
        reference: the size that the others are compared with.
        settings: what is timed, and how often.
        device: where.
        on_cycle: is called after each cycle with the number of cycles done.

    Returns:
        Timings in the order of `sizes`, and last the reference's second copy.

    Raises:
        TrainingError: for no sizes or fewer than two cycles.
    """
    if not sizes or settings.cycles < 2:
        raise TrainingError("a benchmark needs at least one size and two cycles")
    rng = np.random.default_rng(settings.seed)
    calls = calls_for_sizes(config, [reference, *sizes], settings, device)
    warm = {name: _warm(call, device) for name, call in calls.items()}
    calls[AA], warm[AA] = calls[str(reference)], warm[str(reference)]
    before = clock_mhz(device)
    seconds = _cycles(calls, settings.cycles, rng, device, on_cycle)
    clocks = before, clock_mhz(device)
    base = seconds[str(reference)]
    timings = []
    for name, n_ids in ({str(size): size for size in sizes} | {AA: reference}).items():
        low, high = np.quantile(seconds[name], [0.25, 0.75]).tolist()
        middle = float(np.median(seconds[name]))
        flops = flops_of(config.with_fields({"n_ids": n_ids}), settings)
        ratios = ratio_interval(seconds[name], base, rng)
        cycles = settings.cycles
        timings.append(Timing(name, n_ids, middle, (low, high), *ratios, cycles, flops, *warm[name], clocks))
    return timings


def flops_of(config: ModelConfig, settings: BenchSettings) -> float:
    """FLOPs of a call: of all tokens by `ModelConfig.flops_per_token`, or of the head's three products."""
    if settings.part == "head":
        return 6.0 * config.n_ids * config.width * settings.n_tokens
    return config.flops_per_token(settings.seq_len) * settings.n_tokens


def _warm(call: Callable[[], None], device: torch.device) -> tuple[int, list[str]]:
    """Compile and warm up; returns peak memory in bytes and the longest kernels."""
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
    """Seconds (n_cycles,) of each call: the mean of its two times in each cycle."""
    seconds = {name: np.zeros(n_cycles) for name in calls}
    for cycle in range(n_cycles):
        for name, of_call in time_cycle(calls, rng, device).items():
            seconds[name][cycle] = of_call
        if on_cycle:
            on_cycle(cycle + 1)
    return seconds


def ratio_interval(
    seconds: npt.NDArray[np.float64], base: npt.NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, float, float]:
    """Median over cycles of seconds / base, with the lower and upper bound of its 95% bootstrap interval."""
    logs = np.log(seconds / base)
    medians = np.median(rng.choice(logs, (_RESAMPLES, logs.size)), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    return math.exp(float(np.median(logs))), math.exp(low), math.exp(high)


def calls_for_sizes(
    config: ModelConfig, sizes: Sequence[int], settings: BenchSettings, device: torch.device
) -> dict[str, Callable[[], None]]:
    """What to time for each size, keyed by its digits. Blocks are built and compiled once for all sizes."""
    torch.manual_seed(settings.seed)
    if device.type == "cpu":
        keep_freed_memory()
    if settings.compile or settings.head == "compiled":
        _set_up_compiler(len(sizes), padding=settings.padding)
    if settings.part == "head":
        matrix = _SharedMatrix.of(max(sizes), config.width, device)
        return {str(size): _head_call(matrix, size, settings, device) for size in sizes}
    decoder = Decoder(config.with_fields({"n_ids": 1, "tied": config.tied}))
    decoder.initialise(settings.seed)
    model = LanguageModel(decoder, settings.head).to(device)
    decoder.prepare(settings.dtype)
    if settings.compile:
        decoder.compile_blocks()
    common = [*decoder.blocks.parameters(), *decoder.norm.parameters()]
    trunk = torch.optim.AdamW(common, lr=_LEARNING_RATE, fused=True)
    matrices = [_SharedMatrix.of(max(sizes), config.width, device) for _ in range(1 if config.tied else 2)]
    return {str(size): _step_call(model, size, matrices, trunk, settings, device) for size in sizes}


@dataclass(frozen=True)
class _SharedMatrix:
    """An embedding or head for the largest size; every smaller size takes its first rows.

    The address of a matrix changes a size's time by up to 1% on a CPU, so all sizes share one.

    Attributes:
        weight: (n, width) float32.
        moments: AdamW's two of `weight`, of the same shape.
    """

    weight: Tensor
    moments: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, n: int, width: int, device: torch.device) -> _SharedMatrix:
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
    """Let torch compile the head once for each size: past its usual limit it would silently run it uncompiled."""
    from torch._dynamo import config as dynamo
    from torch._inductor import config as inductor

    torch._dynamo.reset()
    dynamo.recompile_limit = max(dynamo.recompile_limit, n_sizes + 8)
    inductor.shape_padding = inductor.comprehensive_padding = padding


def _head_call(matrix: _SharedMatrix, size: int, settings: BenchSettings, device: torch.device) -> Callable[[], None]:
    n = settings.n_tokens
    hidden = torch.randn(n, matrix.weight.shape[1], device=device, dtype=settings.dtype, requires_grad=True)
    weight = matrix.parameter(size)
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
    matrices: Sequence[_SharedMatrix],
    trunk: torch.optim.Optimizer,
    settings: BenchSettings,
    device: torch.device,
) -> Callable[[], None]:
    """A step at one size; `matrices` are the embedding and, unless they are tied, the head."""
    decoder, width = model.decoder, model.decoder.config.width
    weights = [matrix.parameter(size) for matrix in matrices]
    own = torch.optim.AdamW(weights, lr=_LEARNING_RATE, fused=True)
    for matrix, weight in zip(matrices, weights, strict=True):
        matrix.hand_over(weight, own)
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
