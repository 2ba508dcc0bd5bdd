"""Training speed: our step beside Hugging Face's LlamaForCausalLM of the same shape, batches and optimiser.

One step of each in turn, forth and back, so that a busy machine is busy for all. In float32 on a CPU; under autocast
to bfloat16 and compiled on a GPU (`bench_gpu.py` has more for one). `--tiny` shows that all of it runs.

`transformers` is its decoder with all that can be had alike: the same head and loss, residual stream in the same dtype,
blocks compiled one by one as ours. (Compiled whole, its attention gets a dense mask.) On a CPU there is a second row,
`transformers, own loss`, with all logits at once in float32, as its users have it.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tables import machine, show
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from vocab.model.export.llama_layout import SHAPE_FIELD, llama_config
from vocab.model.hardware.machine import hardware, training_versions
from vocab.model.hardware.precision import autocast
from vocab.model.network.config import ModelConfig, preset
from vocab.model.network.decoder import Decoder
from vocab.model.network.head import head_loss
from vocab.model.network.language_model import LanguageModel
from vocab.model.timing.bench import ratio_interval
from vocab.model.timing.bench_rows import write_rows
from vocab.model.timing.kernel_names import longest_kernels
from vocab.model.timing.throughput import MFU_FORMULA, clock_mhz, peak, peak_memory_bytes, timed

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
DTYPE = torch.bfloat16 if ON_GPU else torch.float32
Call = Callable[[], None]
# From a shape and ids (B, T + 1) to the steps that are timed, by name.
Peers = Callable[..., dict[str, Call]]
WARM_UP = 3


def our_step(config: ModelConfig, ids: torch.Tensor, *, compiled: bool, head: str, attention: str = "auto") -> Call:
    """A step of ours on `ids` (B, T + 1)."""
    model = LanguageModel(Decoder(config, attention), head).to(DEVICE)
    model.decoder.initialise(0)
    model.decoder.prepare(DTYPE)
    if compiled:
        model.decoder.compile_blocks()
    inputs, targets = ids[:, :-1], ids[:, 1:]
    return _step(lambda: model(inputs, targets).total / targets.numel(), model)


def their_step(config: ModelConfig, ids: torch.Tensor, *, compiled: bool, head: str | None) -> Call:
    """A step of transformers' Llama of the same shape, attention by SDPA; `head` None for its own logits and loss."""
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = LlamaConfig(**{k: v for k, v in llama_config(config, 0).items() if k != SHAPE_FIELD})
    settings._attn_implementation = "sdpa"
    model = LlamaForCausalLM(settings).to(DEVICE)
    # Weights are float32, and so would be the residual stream.
    model.model.embed_tokens.register_forward_hook(lambda module, given, embedded: embedded.to(DTYPE))
    for layer in model.model.layers if compiled else ():
        layer.compile(dynamic=False)
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    loss = head_loss(head) if head else None

    def mean_nats() -> torch.Tensor:
        hidden = model.model(input_ids=inputs, use_cache=False).last_hidden_state
        if loss is None:
            return F.cross_entropy(model.lm_head(hidden).float().flatten(0, 1), targets.flatten())
        return loss(hidden.to(DTYPE).flatten(0, 1), model.lm_head.weight, targets.flatten()).total / targets.numel()

    return _step(mean_nats, model)


def _step(mean_nats: Callable[[], torch.Tensor], model: torch.nn.Module) -> Call:
    """Forward, backward, clipping and AdamW."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with autocast(DEVICE, DTYPE):
            loss = mean_nats()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return step


def peers_of(config: ModelConfig, ids: torch.Tensor, *, compiled: bool, head: str) -> dict[str, Call]:
    """Ours and theirs; on a CPU theirs with its own loss too."""
    calls = {
        "vocab": our_step(config, ids, compiled=compiled, head=head),
        "transformers": their_step(config, ids, compiled=compiled, head=head),
    }
    if not ON_GPU:
        calls["transformers, own loss"] = their_step(config, ids, compiled=compiled, head=None)
    return calls


class Laps(NamedTuple):
    """Seconds of each repeat of one call, by the clock and of all threads of the processor."""

    seconds: list[float]
    cpu_seconds: list[float]


def time_in_turn(calls: Mapping[str, Call], repeats: int, limit: float = float("inf")) -> dict[str, Laps]:
    """Time calls that are warm, one of each in turn, forth and back; none after `limit` seconds, from the third on."""
    laps = {name: Laps([], []) for name in calls}
    names, started = list(calls), time.perf_counter()
    for cycle in range(repeats):
        for name in names if cycle % 2 else reversed(names):
            cpu_started = time.process_time()
            laps[name].seconds.append(timed(calls[name], DEVICE))
            laps[name].cpu_seconds.append(time.process_time() - cpu_started)
        if cycle >= 2 and time.perf_counter() - started > limit:
            break
    return laps


def warm(call: Call) -> int:
    """Compile and warm up; returns the peak memory in bytes, on a GPU that of this call beside what else lies there."""
    for _ in range(WARM_UP):
        call()
    if not ON_GPU:
        return peak_memory_bytes(DEVICE)
    torch.cuda.reset_peak_memory_stats(DEVICE)
    before = torch.cuda.memory_allocated(DEVICE)
    call()
    return peak_memory_bytes(DEVICE) - before


def bench_steps(
    name: str,
    config: ModelConfig,
    batch: int,
    repeats: int,
    *,
    head: str,
    compiled: bool = ON_GPU,
    limit: float = float("inf"),
    peers: Peers = peers_of,
) -> list[dict[str, Any]]:
    """A row of each peer for a preset, the speeds against the second. Halves the batch when memory does not suffice."""
    while True:
        try:
            return _bench_steps(name, config, batch, repeats, head=head, compiled=compiled, limit=limit, peers=peers)
        except torch.OutOfMemoryError:
            if batch == 1:
                raise
        batch //= 2
        free_memory()


def free_memory() -> None:
    """Forget models and compiled code of an earlier part: static shapes are compiled anew for the next."""
    gc.collect()
    torch._dynamo.reset()
    if ON_GPU:
        torch.cuda.empty_cache()


def _bench_steps(
    name: str,
    config: ModelConfig,
    batch: int,
    repeats: int,
    *,
    head: str,
    compiled: bool,
    limit: float,
    peers: Peers,
) -> list[dict[str, Any]]:
    torch.manual_seed(0)
    ids = torch.randint(0, config.n_ids, (batch, config.max_seq_len + 1), device=DEVICE)
    calls = peers(config, ids, compiled=compiled, head=head)
    base = list(calls)[-1] if len(calls) < 2 else list(calls)[1]
    memory = {peer: warm(call) for peer, call in calls.items()}
    before = clock_mhz(DEVICE)
    laps = time_in_turn(calls, repeats, limit)
    facts = row_facts() | {"clocks_mhz": (before, clock_mhz(DEVICE))}
    top, n_tokens = peak(DEVICE), batch * config.max_seq_len
    rng = np.random.default_rng(0)
    rows = []
    for peer, lap in laps.items():
        rate = n_tokens / statistics.median(lap.seconds)
        ratios = {
            kind: ratio_interval(np.array(getattr(laps[base], kind)), np.array(getattr(lap, kind)), rng)
            for kind in Laps._fields
        }
        row = {
            "name": peer,
            "preset": name,
            "n_parameters": config.n_parameters,
            "sequences": batch,
            "seq_len": config.max_seq_len,
            "compiled": compiled,
            "head": "plain, uncompiled" if peer.endswith("own loss") else head,
            "dtype": str(DTYPE),
            **lap._asdict(),
            "tokens_per_second": rate,
            "tokens_per_cpu_second": n_tokens / statistics.median(lap.cpu_seconds),
            "speed_against": {base: ratios["seconds"]},
            "speed_against_by_cpu_seconds": {base: ratios["cpu_seconds"]},
            "mfu": rate * config.flops_per_token(config.max_seq_len) / top.flops,
            "mfu_causal": rate * config.flops_per_token(config.max_seq_len, causal=True) / top.flops,
            "mfu_formula": MFU_FORMULA,
            "peak": {"flops": top.flops, "source": top.source},
            "peak_memory_bytes": memory[peer],
            "kernels": longest_kernels(calls[peer], DEVICE),
        }
        rows.append(row | facts)
    return rows


def row_facts() -> dict[str, Any]:
    """What every row says of where it was made."""
    return {"hardware": hardware(DEVICE), "versions": training_versions(), "load_1_minute": machine()["load_1_minute"]}


def show_steps(rows: list[dict[str, Any]]) -> None:
    """Print rows of `bench_steps`."""
    cells = []
    for row in rows:
        ((base, (middle, low, high)),) = row["speed_against"].items()
        cells.append(
            [
                f"{row['preset']}, {row['name']}",
                f"{row['sequences']} × {row['seq_len']}",
                f"{row['tokens_per_second']:,.0f}",
                f"{middle:.3f} ({low:.3f} to {high:.3f})",
                f"{row['speed_against_by_cpu_seconds'][base][0]:.3f}",
                f"{row['mfu']:.1%} ({row['mfu_causal']:.1%})",
                f"{row['peak_memory_bytes'] / 1e9:.1f}",
            ]
        )
    columns = ["", "batch", "tokens/s", f"against {base} (95%)", "by CPU time", "MFU (causal)", "GB"]
    show("Training steps", columns, cells, machine("torch", "transformers") | {"cpu": hardware(DEVICE)["device"]})


def main() -> None:
    """Measure, show, and write JSON lines where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", action="append", help="default: micro")
    parser.add_argument("--batch", type=int, default=4, help="sequences of a step")
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--head", default="compiled" if ON_GPU else "chunked")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tiny", action="store_true", help="small shapes and few repeats, to see that all of it runs")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    small = {"n_layers": 1, "max_seq_len": 16, "n_ids": 64} if given.tiny else {}
    if not given.tiny:
        torch.set_num_threads(given.threads)
    repeats = 2 if given.tiny else given.repeats
    rows: list[dict[str, Any]] = []
    for name in given.preset or ["micro"]:
        free_memory()
        rows += bench_steps(name, preset(name, **small), given.batch, repeats, head=given.head)
    show_steps(rows)
    if given.json:
        write_rows(rows, given.json)


if __name__ == "__main__":
    main()
