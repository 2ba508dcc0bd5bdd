"""All that training must reach on one H100 or H200, in under ten minutes.

- `tinyllama-1.1b` at 2,048 tokens and `gpt2-124m-class`: a step of ours beside Hugging Face's Llama with SDPA,
  compiled, under autocast to bfloat16, with kernel names, MFU and peak memory (wanted: 50% MFU, 460,000 tokens/s).
- Attention back ends side by side, forward and both passes, for RoPE and ALiBi; those that cannot run with the reason.
- The head alone over sizes of vocabulary (`vocab bench` has the whole design).

Rows go to a file of JSON lines as they are made. On a CPU it runs with `--tiny` only, to see that all of it works.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_train import DEVICE, DTYPE, ON_GPU, WARM_UP, Call, bench_steps, row_facts, show_steps, time_in_turn
from common import machine, show

from vocab.model.network.attention import backends
from vocab.model.network.config import preset
from vocab.model.network.positions import alibi_slopes
from vocab.model.timing.bench import BenchSettings, bench_sizes, ratio_interval
from vocab.model.timing.bench_rows import json_row
from vocab.model.timing.kernel_names import longest_kernels
from vocab.model.timing.throughput import peak

# Sequences of a step, for 80 GB of memory with both models in it; halved where they do not fit.
BATCH = {"tinyllama-1.1b": 8, "gpt2-124m-class": 32}
WANTED = {"tinyllama-1.1b": "50% MFU, 62,000 tokens/s", "gpt2-124m-class": "460,000 tokens/s"}
# One to three bits set, of even and odd sizes about 32,000, and the two that differ by a wave of thread blocks.
HEAD_SIZES = [32_000, 32_768, 32_769, 32_776, 32_832, 31_999, 33_792, 33_920]
MINUTES = 9.0


def bench_attention(n_heads: int, head_dim: int, seq_len: int, batch: int, repeats: int) -> list[dict[str, Any]]:
    """Rows of every back end that can, forward and both passes, and of the others with the reason why not."""
    rows: list[dict[str, Any]] = []
    for position in ("rope", "alibi"):
        calls: dict[str, Call] = {}
        slopes = torch.tensor(alibi_slopes(n_heads), device=DEVICE) if position == "alibi" else None
        for name, backend in backends().items():
            if name == "reference":
                continue
            reason = backend.supports(
                device=DEVICE, dtype=DTYPE, head_dim=head_dim, position=position, documents=False, backward=True
            )
            if reason:
                rows.append({"kind": "attention", "name": name, "position": position, "reason": reason} | row_facts())
                continue
            state = backend.prepare(heads=n_heads, max_seq_len=seq_len, slopes=slopes, device=DEVICE)
            for both in (False, True):
                shape = (batch, n_heads, seq_len, head_dim)
                q, k, v = (torch.randn(shape, device=DEVICE, dtype=DTYPE, requires_grad=both) for _ in range(3))
                calls[f"{name}, {'both passes' if both else 'forward'}"] = attend(backend, q, k, v, state, both=both)
        rows += _attention_rows(calls, position, [batch, n_heads, seq_len, head_dim], repeats)
    return rows


def attend(backend: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, state: object, *, both: bool) -> Call:
    """A call of a back end, with its backward pass when asked for."""
    slope = torch.randn_like(q)

    def call() -> None:
        q.grad = k.grad = v.grad = None
        mixed = backend(q, k, v, state)
        if both:
            mixed.backward(slope)

    return call


def _attention_rows(calls: dict[str, Call], position: str, shape: list[int], repeats: int) -> list[dict[str, Any]]:
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
    laps = time_in_turn(calls, repeats)
    rows = []
    for name, lap in laps.items():
        base = next(key for key in calls if key.endswith(name.partition(", ")[2]))
        ratio = ratio_interval(np.array(lap.seconds), np.array(laps[base].seconds), np.random.default_rng(0))
        rows.append(
            {
                "kind": "attention",
                "name": name,
                "position": position,
                "shape": shape,
                "dtype": str(DTYPE),
                "seconds": lap.seconds,
                "time_against": {base: ratio},
                "kernels": longest_kernels(calls[name], DEVICE),
            }
            | row_facts()
        )
    return rows


def show_attention(rows: list[dict[str, Any]]) -> None:
    """Print rows of `bench_attention`."""
    cells = []
    for row in rows:
        if "reason" in row:
            cells.append([f"{row['name']}, {row['position']}", "", row["reason"]])
            continue
        ((base, ratio),) = row["time_against"].items()
        shown = f"{ratio[0]:.2f} × {base}"
        cells.append([f"{row['name']}, {row['position']}", f"{1e3 * statistics.median(row['seconds']):.3f}", shown])
    show("Attention", ["", "ms", ""], cells, machine("torch"))


def bench_head(sizes: list[int], batch: int, seq_len: int, cycles: int, name: str, head: str) -> list[dict[str, Any]]:
    """Rows of the head alone over sizes."""
    settings = BenchSettings(batch=batch, seq_len=seq_len, head=head, dtype=DTYPE, cycles=cycles)
    config, top = preset(name, max_seq_len=seq_len), peak(DEVICE)
    timings = bench_sizes(config, sizes, sizes[0], settings, DEVICE)
    return [{"kind": "head"} | json_row(one, config, settings, top, {}, DEVICE) for one in timings]


def show_head(rows: list[dict[str, Any]]) -> None:
    """Print rows of `bench_head`."""
    cells = [
        [row["name"], f"{1e3 * row['seconds']:.3f}", f"{row['ratio']:.4f} ({row['low']:.4f} to {row['high']:.4f})"]
        for row in rows
    ]
    show("The head alone", ["ids", "ms", f"time against {rows[0]['name']} ids (95%)"], cells, machine("torch"))


def main() -> None:
    """Measure, write each part's rows when it is done, and show them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines, replaced")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--tiny", action="store_true", help="small shapes and few repeats, to see that all of it runs")
    given = parser.parse_args()
    if not (ON_GPU or given.tiny):
        sys.exit("there is no NVIDIA GPU that torch can use: --tiny shows on a CPU that the script works")
    started = time.perf_counter()
    torch.set_float32_matmul_precision("high")
    repeats = 2 if given.tiny else given.repeats
    small = {"n_layers": 1, "n_heads": 2, "n_kv_heads": 1, "width": 16, "ffn_width": 16, "max_seq_len": 16, "n_ids": 64}
    head = "compiled" if ON_GPU else "chunked"
    with given.out.open("w", encoding="utf-8") as stream:

        def keep(rows: list[dict[str, Any]]) -> None:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
            stream.flush()

        for name, batch in BATCH.items():
            config = preset(name, **small) if given.tiny else preset(name)
            left = 60 * MINUTES - (time.perf_counter() - started)
            rows = bench_steps(name, config, 1 if given.tiny else batch, repeats, head=head, limit=left / 4)
            keep([{"kind": "step"} | row for row in rows])
            show_steps(rows)
            print(f"Wanted: {WANTED[name]}; the model of this run has {config.n_parameters:,} parameters.")
        shape = (2, 16, 32, 1) if given.tiny else (32, 64, 2048, 8)
        rows = bench_attention(*shape, repeats)
        keep(rows)
        show_attention(rows)
        sizes, tokens = ([64, 65], (1, 16)) if given.tiny else (HEAD_SIZES, (8, 2048))
        rows = bench_head(sizes, *tokens, repeats, "micro" if given.tiny else "tinyllama-1.1b", head)
        keep(rows)
        show_head(rows)
    print(f"{time.perf_counter() - started:.0f} s; rows in {given.out}")


if __name__ == "__main__":
    main()
