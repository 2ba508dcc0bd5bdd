"""Training speed: our step beside Hugging Face's LlamaForCausalLM of the same shape, and attention back ends.

Both models take the same batches with the same fused AdamW, one step of each in turn. On a GPU every preset named is
timed under autocast to bfloat16, compiled (transformers with SDPA); on a CPU in float32. `--tiny` is for tests.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from common import machine, show, spread, write_json

from vocab.model.attention import backends
from vocab.model.config import ModelConfig, preset
from vocab.model.decoder import Decoder
from vocab.model.evaluate import autocast
from vocab.model.export import llama_config
from vocab.model.head import LanguageModel
from vocab.model.positions import alibi_slopes
from vocab.model.throughput import MFU_FORMULA, peak, peak_memory_bytes, synchronise

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
DTYPE = torch.bfloat16 if ON_GPU else torch.float32
# Sequences of a step by preset, for 80 GB of memory.
GPU_BATCH = {"tinyllama-1.1b": 8, "gpt2-124m-class": 32}


def our_step(config: ModelConfig, ids: torch.Tensor, *, compiled: bool, head: str) -> Callable[[], None]:
    """A step of ours on `ids` (B, T + 1)."""
    model = LanguageModel(Decoder(config), head).to(DEVICE)
    model.decoder.initialise(0)
    model.decoder.prepare(DTYPE)
    if compiled:
        model.trunk = torch.compile(model.decoder.trunk)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with autocast(DEVICE, DTYPE):
            total = model(ids[:, :-1], ids[:, 1:]).total
        (total / ids[:, 1:].numel()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return step


def their_step(config: ModelConfig, ids: torch.Tensor, *, compiled: bool) -> Callable[[], None]:
    """A step of transformers' Llama of the same shape."""
    from transformers import LlamaConfig, LlamaForCausalLM

    settings = LlamaConfig(**{k: v for k, v in llama_config(config, 0).items() if k != "vocab_decoder"})
    model = LlamaForCausalLM(settings).to(DEVICE)
    run: Any = torch.compile(model) if compiled else model
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    inputs = ids[:, :-1].contiguous()
    targets = ids[:, 1:].contiguous()

    def step() -> None:
        with autocast(DEVICE, DTYPE):
            logits = run(input_ids=inputs, use_cache=False).logits
        torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    return step


def time_in_turn(
    calls: dict[str, Callable[[], None]], repeats: int, warm_up: int = 3
) -> dict[str, dict[str, list[float]]]:
    """Wall and processor seconds of each call, one of each in turn, forth and back."""
    for call in calls.values():
        for _ in range(warm_up):
            call()
    laps: dict[str, dict[str, list[float]]] = {name: {"seconds": [], "cpu_seconds": []} for name in calls}
    names = list(calls)
    for cycle in range(repeats):
        for name in names if cycle % 2 else reversed(names):
            synchronise(DEVICE)
            started, cpu_started = time.perf_counter(), time.process_time()
            calls[name]()
            synchronise(DEVICE)
            laps[name]["seconds"].append(time.perf_counter() - started)
            laps[name]["cpu_seconds"].append(time.process_time() - cpu_started)
    return laps


def bench_steps(
    name: str, config: ModelConfig, batch: int, repeats: int, *, compiled: bool, head: str
) -> list[dict[str, Any]]:
    """Rows of ours and theirs for one preset."""
    ids = torch.randint(0, config.n_ids, (batch, config.max_seq + 1), device=DEVICE)
    calls = {
        "vocab": our_step(config, ids, compiled=compiled, head=head),
        "transformers": their_step(config, ids, compiled=compiled),
    }
    top, n_tokens = peak(DEVICE), batch * config.max_seq
    rows = []
    laps = time_in_turn(calls, repeats)
    for peer, lap in laps.items():
        ratios = [theirs / ours for theirs, ours in zip(laps["transformers"]["seconds"], lap["seconds"], strict=True)]
        rate = n_tokens / statistics.median(lap["seconds"])
        rows.append(
            {
                "name": peer,
                "preset": name,
                "compiled": compiled,
                "n_tokens": n_tokens,
                **lap,
                "tokens_per_second": rate,
                "tokens_per_cpu_second": n_tokens / max(1e-9, statistics.median(lap["cpu_seconds"])),
                "speed_against_transformers": statistics.median(ratios),
                "mfu": rate * config.flops_per_token(config.max_seq) / top.flops,
                "mfu_causal": rate * config.flops_per_token(config.max_seq, causal=True) / top.flops,
                "peak": {"flops": top.flops, "source": top.source},
                "peak_memory_bytes": peak_memory_bytes(DEVICE),
            }
        )
    return rows


def bench_attention(n_heads: int, head_dim: int, n_seq: int, batch: int, repeats: int) -> list[dict[str, Any]]:
    """Forward and backward of every back end that can, for RoPE and ALiBi; the others with the reason why not."""
    rows: list[dict[str, Any]] = []
    calls: dict[str, Callable[[], None]] = {}
    for position in ("rope", "alibi"):
        slopes = torch.tensor(alibi_slopes(n_heads), device=DEVICE) if position == "alibi" else None
        for name, backend in backends().items():
            reason = backend.supports(
                device=DEVICE, dtype=DTYPE, head_dim=head_dim, position=position, documents=False, backward=True
            )
            if reason is None and name != "reference":
                state = backend.prepare(heads=n_heads, max_seq=n_seq, slopes=slopes, device=DEVICE)
                shape = (batch, n_heads, n_seq, head_dim)
                q, k, v = (torch.randn(shape, device=DEVICE, dtype=DTYPE, requires_grad=True) for _ in range(3))
                calls[f"{name}, {position}"] = _attend(backend, q, k, v, state)
            elif name != "reference":
                rows.append({"name": f"{name}, {position}", "reason": reason})
    laps = time_in_turn(calls, repeats)
    return [{"name": name, "shape": [batch, n_heads, n_seq, head_dim], **lap} for name, lap in laps.items()] + rows


def _attend(backend: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, state: object) -> Callable[[], None]:
    def call() -> None:
        q.grad = k.grad = v.grad = None
        backend(q, k, v, state).float().sum().backward()

    return call


def kernels(step: Callable[[], None]) -> list[str]:
    """Names of what takes longest in a step."""
    kind = torch.profiler.ProfilerActivity.CUDA if ON_GPU else torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[kind]) as seen:
        step()
    rows = sorted(seen.key_averages(), key=lambda r: -(r.self_device_time_total if ON_GPU else r.self_cpu_time_total))
    return [row.key for row in rows[:20]]


def main() -> None:
    """Measure, show, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", action="append", help="default: micro on a CPU, the two of GPU_BATCH on a GPU")
    parser.add_argument("--batch", type=int, help="sequences of a step")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--head", default="compiled" if ON_GPU else "chunked")
    parser.add_argument("--tiny", action="store_true", help="small shapes and few repeats, to see that all of it runs")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    names = given.preset or (list(GPU_BATCH) if ON_GPU else ["micro"])
    small = {"n_layers": 1, "max_seq": 16, "n_ids": 64} if given.tiny else {}
    repeats = 2 if given.tiny else given.repeats
    steps: list[dict[str, Any]] = []
    for name in names:
        batch = given.batch or (1 if given.tiny else GPU_BATCH.get(name, 4))
        steps += bench_steps(name, preset(name, **small), batch, repeats, compiled=ON_GPU, head=given.head)
    shape = (32, 64, 2048, 8) if ON_GPU else (2, 16, 64, 1) if given.tiny else (2, 64, 256, 4)
    attention = bench_attention(*shape, repeats)
    config = preset(names[-1], **small)
    ids = torch.randint(0, config.n_ids, (1, config.max_seq + 1), device=DEVICE)
    step = our_step(config, ids, compiled=ON_GPU, head=given.head)
    step()
    facts = machine() | {"torch": torch.__version__, "device": torch.cuda.get_device_name() if ON_GPU else "cpu"}
    facts["threads"] = torch.get_num_threads()
    rows = [
        [
            f"{r['preset']}, {r['name']}",
            f"{r['tokens_per_second']:,.0f}",
            f"{r['tokens_per_cpu_second']:,.0f}",
            f"{r['speed_against_transformers']:.2f}",
            f"{r['mfu']:.1%}",
        ]
        for r in steps
    ]
    show("Training steps", ["", "tokens/s", "tokens/CPU s", "against transformers", "MFU"], rows, facts)
    timed = [[r["name"], spread([1e3 * x for x in r["seconds"]]) if "seconds" in r else r["reason"]] for r in attention]
    show("Attention, forward and backward", ["", "ms"], timed, facts)
    content = {"machine": facts, "mfu": MFU_FORMULA, "steps": steps, "attention": attention, "kernels": kernels(step)}
    write_json(given.json, content)


if __name__ == "__main__":
    main()
