"""All that training must reach on one H100 or H200, in under nine minutes.

Cheap parts first, each on its own, so that what fails in one leaves the others whole:

- correctness: every attention back end and head on the GPU beside float64;
- attention back ends side by side, forward and both passes, for RoPE and ALiBi, with the kernels that ran;
- the head alone over sizes of vocabulary (`vocab bench` has the whole design);
- `gpt2-124m-class` and `tinyllama-1.1b` at 2,048 tokens: a step of ours beside Hugging Face's Llama with all that can
  be had alike (`bench_train.py`), and ours by each of SDPA's kernels: MFU, peak memory, kernel names.

Rows go to a file of JSON lines one by one. It needs torch, transformers and rich. On a CPU it runs with `--tiny` only,
to see that all of it works.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_train import (
    DEVICE,
    DTYPE,
    ON_GPU,
    WARM_UP,
    Call,
    bench_steps,
    free_memory,
    our_step,
    row_facts,
    show_steps,
    time_in_turn,
)
from tables import machine, show

from vocab.errors import TrainingError
from vocab.model.network.attention import Reference, backends
from vocab.model.network.config import ModelConfig, preset
from vocab.model.network.head import HEADS, HeadLoss, head_loss
from vocab.model.network.positions import alibi_slopes
from vocab.model.timing.bench import BenchSettings, bench_sizes, ratio_interval
from vocab.model.timing.bench_rows import json_row
from vocab.model.timing.kernel_names import longest_kernels
from vocab.model.timing.throughput import peak

Row = dict[str, Any]
Tensors = list[torch.Tensor]
# Sequences of a step, for 139 GiB of memory with two models in it; halved where they do not fit.
BATCH = {"gpt2-124m-class": 32, "tinyllama-1.1b": 24}
WANTED = {"tinyllama-1.1b": "50% MFU, 62,000 tokens/s", "gpt2-124m-class": "460,000 tokens/s"}
# One to three bits set, of even and odd sizes about 32,000, and the two that differ by a wave of thread blocks.
HEAD_SIZES = [32_000, 32_768, 32_769, 32_776, 32_832, 31_999, 33_792, 33_920]
SECONDS = 9.0 * 60
# Shares of a norm by which bfloat16 may differ from float64.
ALLOWED = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
KERNELS = ("sdpa-flash", "sdpa-cudnn")
SMALL = {"n_layers": 1, "n_heads": 2, "n_kv_heads": 1, "width": 16, "ffn_width": 16, "max_seq_len": 16, "n_ids": 64}


def each_backend(head_dim: int, *, documents: bool) -> Iterator[tuple[str, str, Any, str | None]]:
    """Positions, name and back end, and the reason why it cannot be used, None where it can."""
    for position in ("rope", "alibi"):
        for name, backend in backends().items():
            if name != "reference":
                request = {"dtype": DTYPE, "head_dim": head_dim, "position": position, "documents": documents}
                yield position, name, backend, backend.supports(device=DEVICE, backward=True, **request)


def check_attention(seq_len: int, n_heads: int = 4, head_dim: int = 64) -> Iterator[Row]:
    """A row of each back end, with and without documents: how far output and gradients are from float64."""
    for documents in (False, True):
        numbers = None
        if documents:
            numbers = (torch.arange(seq_len, device=DEVICE) * 3 // seq_len).int().expand(2, -1).contiguous()
        for position, name, backend, reason in each_backend(head_dim, documents=documents):
            if reason is None:
                shape = (2, n_heads, seq_len, head_dim)
                label = f"attention {name}, {position}{', documents' if documents else ''}"
                both = [partial(attended, one, position, numbers, shape) for one in (backend, Reference())]
                yield _checked(label, *both)


def attended(backend: Any, position: str, numbers: torch.Tensor | None, shape: tuple[int, ...]) -> Tensors:
    """Output and gradients of a back end on random inputs."""
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=generator).to(DEVICE, DTYPE).requires_grad_() for _ in range(3)]
    slopes = torch.tensor(alibi_slopes(shape[1]), device=DEVICE) if position == "alibi" else None
    state = backend.prepare(heads=shape[1], max_seq_len=shape[2], slopes=slopes, device=DEVICE)
    mixed = backend(*inputs, state, backend.mask(state, shape[2], numbers, DEVICE))
    mixed.float().pow(2).sum().backward()
    return [mixed.detach(), *(x.grad for x in inputs if x.grad is not None)]


def check_heads(n: int, n_ids: int, width: int) -> Iterator[Row]:
    """A row of each head: how far loss and gradients are from float64."""
    for name in HEADS:
        try:
            loss = head_loss(name)
        except TrainingError as error:
            yield {"kind": "check", "name": f"head {name}", "reason": str(error)}
            continue
        inputs = head_inputs(n, n_ids, width)
        yield _checked(f"head {name}", partial(with_gradients, loss, *inputs), partial(exact_nats, *inputs))


def head_inputs(n: int, n_ids: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden states, a matrix and targets."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(n, width, generator=generator).to(DEVICE, DTYPE)
    weight = (torch.randn(n_ids, width, generator=generator) * 0.02).to(DEVICE)
    return hidden, weight, torch.randint(0, n_ids, (n,), generator=generator).to(DEVICE)


def with_gradients(loss: HeadLoss, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> Tensors:
    """Nats of a head, and their gradients."""
    given = [x.clone().requires_grad_() for x in (hidden, weight)]
    total = loss(*given, targets).total
    total.backward()
    return [total.detach(), *(x.grad for x in given if x.grad is not None)]


def exact_nats(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> Tensors:
    """The same in float64."""
    given = [x.double().requires_grad_() for x in (hidden, weight)]
    total = torch.nn.functional.cross_entropy(given[0] @ given[1].T, targets, reduction="sum")
    total.backward()
    return [total.detach(), *(x.grad for x in given if x.grad is not None)]


def _checked(name: str, ours: Callable[[], Tensors], exact: Callable[[], Tensors]) -> Row:
    try:
        pairs = list(zip(ours(), exact(), strict=True))
    except Exception as error:  # noqa: BLE001 - one back end's own; the others are checked all the same
        return {"kind": "check", "name": name, "reason": repr(error), "passed": False}
    errors = [float((a.double() - b.double()).norm() / b.double().norm().clamp(min=1e-30)) for a, b in pairs]
    return {"kind": "check", "name": name, "errors": errors, "passed": max(errors) < ALLOWED[DTYPE]}


def bench_attention(n_heads: int, head_dim: int, seq_len: int, batch: int, repeats: int) -> Iterator[Row]:
    """Rows of every back end that can, forward and both passes, and of the others with the reason why not."""
    shape = (batch, n_heads, seq_len, head_dim)
    calls: dict[str, dict[str, Call]] = {"rope": {}, "alibi": {}}
    for position, name, backend, reason in each_backend(head_dim, documents=False):
        if reason:
            yield {"kind": "attention", "name": name, "position": position, "reason": reason}
            continue
        slopes = torch.tensor(alibi_slopes(n_heads), device=DEVICE) if position == "alibi" else None
        state = backend.prepare(heads=n_heads, max_seq_len=seq_len, slopes=slopes, device=DEVICE)
        mask = backend.mask(state, seq_len, None, DEVICE)
        for passes in ("forward", "both passes"):
            call = attend(backend, shape, state, mask, both=passes != "forward")
            try:
                for _ in range(WARM_UP):
                    call()
            except Exception as error:  # noqa: BLE001 - a back end's own; the others are timed all the same
                yield {"kind": "attention", "name": f"{name}, {passes}", "position": position, "reason": repr(error)}
                continue
            calls[position][f"{name}, {passes}"] = call
    for position, timed in calls.items():
        yield from _attention_rows(timed, position, shape, repeats)


def attend(backend: Any, shape: tuple[int, ...], state: object, mask: object, *, both: bool) -> Call:
    """A call of a back end, with its backward pass when asked for."""
    q, k, v = (torch.randn(shape, device=DEVICE, dtype=DTYPE, requires_grad=both) for _ in range(3))
    slope = torch.randn_like(q)

    def call() -> None:
        q.grad = k.grad = v.grad = None
        mixed = backend(q, k, v, state, mask)
        if both:
            mixed.backward(slope)

    return call


def _attention_rows(calls: dict[str, Call], position: str, shape: tuple[int, ...], repeats: int) -> Iterator[Row]:
    laps = time_in_turn(calls, repeats)
    for name, lap in laps.items():
        base = next(key for key in calls if key.endswith(name.partition(", ")[2]))
        ratio = ratio_interval(np.array(lap.seconds), np.array(laps[base].seconds), np.random.default_rng(0))
        yield {
            "kind": "attention",
            "name": name,
            "position": position,
            "shape": list(shape),
            "dtype": str(DTYPE),
            "seconds": lap.seconds,
            "time_against": {base: ratio},
            "kernels": longest_kernels(calls[name], DEVICE),
        }


def bench_head(sizes: list[int], batch: int, seq_len: int, cycles: int, name: str, head: str) -> Iterator[Row]:
    """Rows of the head alone over sizes."""
    settings = BenchSettings(batch=batch, seq_len=seq_len, head=head, dtype=DTYPE, cycles=cycles)
    config, top = preset(name, max_seq_len=seq_len), peak(DEVICE)
    for one in bench_sizes(config, sizes, sizes[0], settings, DEVICE):
        yield {"kind": "head"} | json_row(one, config, settings, top, {}, DEVICE)


def bench_preset(name: str, config: ModelConfig, batch: int, repeats: int, limit: float) -> Iterator[Row]:
    """Steps of ours and of theirs, and then, where both can be used, ours by each of SDPA's kernels."""
    head = "compiled" if ON_GPU else "chunked"
    rows = bench_steps(name, config, batch, repeats, head=head, limit=limit)
    yield from ({"kind": "step"} | row for row in rows)
    show_steps(rows)
    print(f"Wanted: {WANTED[name]}; the model of this run has {config.n_parameters:,} parameters.", flush=True)
    for kernel in KERNELS if ON_GPU else ():
        free_memory()
        try:
            rows = bench_steps(name, config, batch, repeats, head=head, limit=limit / 2, peers=by_kernel(kernel))
        except Exception as error:  # noqa: BLE001 - one kernel's own; the other is timed all the same
            yield {"kind": "step", "preset": name, "name": f"vocab, {kernel}", "reason": repr(error)}
            continue
        yield from ({"kind": "step"} | row for row in rows)
        show_steps(rows)


def by_kernel(kernel: str) -> Callable[..., dict[str, Call]]:
    """Our step by one of SDPA's kernels, alone."""

    def peers(config: ModelConfig, ids: torch.Tensor, *, compiled: bool, head: str) -> dict[str, Call]:
        return {f"vocab, {kernel}": our_step(config, ids, compiled=compiled, head=head, attention=kernel)}

    return peers


class RowFile:
    """The file of rows: each is on disk before the next is made."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("w", encoding="utf-8")
        self._facts = row_facts()

    def keep(self, part: str, rows: Iterator[Row]) -> list[Row]:
        """Write the rows of a part as they come, and a row of kind "error" when the part fails."""
        kept = []
        started = time.perf_counter()
        try:
            for row in rows:
                self._write(self._facts | row)
                kept.append(row)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other parts are still wanted
            traceback.print_exc()
            self._write({"kind": "error", "part": part, "error": repr(error)[:2000], **self._facts})
        print(f"{part}: {len(kept)} rows, {time.perf_counter() - started:.0f} s", flush=True)
        free_memory()
        return kept

    def _write(self, row: Row) -> None:
        self._stream.write(json.dumps(row) + "\n")
        self._stream.flush()


def show_rows(rows: list[Row]) -> None:
    """Print rows of checks, of attention and of the head."""
    cells = []
    for row in rows:
        name = f"{row['name']}, {row['position']}" if "position" in row else row["name"]
        if "reason" in row:
            cells.append([name, "FAILED" if row.get("passed") is False else "", row["reason"]])
        elif row["kind"] == "check":
            cells.append([name, "ok" if row["passed"] else "WRONG", ", ".join(f"{x:.1e}" for x in row["errors"])])
        elif row["kind"] == "head":
            ratio = f"{row['ratio']:.4f} ({row['low']:.4f} to {row['high']:.4f}) of the first"
            cells.append([f"head, {name} ids", f"{1e3 * row['seconds']:.3f} ms", ratio])
        else:
            ((base, ratio),) = row["time_against"].items()
            shown = f"{ratio[0]:.2f} × {base}; {row['kernels'][0][:60] if row['kernels'] else ''}"
            cells.append([name, f"{1e3 * statistics.median(row['seconds']):.3f} ms", shown])
    show("Parts", ["", "", ""], cells, machine("torch"))


def parts(tiny: bool, repeats: int, left: Callable[[], float]) -> Iterator[tuple[str, Iterator[Row]]]:
    """All parts, cheap ones first; those that are out of time are left out."""
    yield "check of attention", check_attention(64 if tiny else 1024)
    yield "check of heads", check_heads(*((70, 64, 16) if tiny else (3000, 5000, 256)))
    yield "attention", bench_attention(*((2, 16, 32, 1) if tiny else (32, 64, 2048, 8)), repeats)
    sizes, tokens = ([64, 65], (1, 16)) if tiny else (HEAD_SIZES, (8, 2048))
    for name in ["micro"] if tiny else ["gpt2-124m-class", "tinyllama-1.1b"]:
        head = "compiled" if ON_GPU else "chunked"
        yield f"head of {name}", bench_head(sizes, *tokens, repeats, name, head)
    for name, batch in BATCH.items():
        config = preset(name, **SMALL) if tiny else preset(name)
        yield f"step of {name}", bench_preset(name, config, 1 if tiny else batch, repeats, left() / 6)


def main() -> None:
    """Measure, write each row when it is made, and show them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines, replaced")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--part", action="append", help="only parts whose name holds this; may be given several times")
    parser.add_argument("--tiny", action="store_true", help="small shapes and few repeats, to see that all of it runs")
    given = parser.parse_args()
    if not (ON_GPU or given.tiny):
        sys.exit("there is no NVIDIA GPU that torch can use: --tiny shows on a CPU that the script works")
    started = time.perf_counter()
    torch.set_float32_matmul_precision("high")
    file = RowFile(given.out)
    left = partial(lambda: SECONDS - (time.perf_counter() - started))
    for name, rows in parts(given.tiny, 2 if given.tiny else given.repeats, left):
        if given.part and not any(text in name for text in given.part):
            continue
        kept = file.keep(name, rows)
        if not name.startswith("step"):
            show_rows(kept)
    print(f"{time.perf_counter() - started:.0f} s; rows in {given.out}")


if __name__ == "__main__":
    main()
