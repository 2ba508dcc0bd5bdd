"""`vocab bench`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.cli.screen import console, progress, table
from vocab.cli.train import PresetName

if TYPE_CHECKING:
    from vocab.model.bench import Timing


class PartName(StrEnum):
    """What is timed."""

    head = "head"
    step = "step"


def bench(
    sizes: Annotated[list[int], typer.Option("--size", min=2, help="Vocabulary size to time. Give several.")],
    preset: Annotated[PresetName, typer.Option("--preset", help="Shape of the model.")] = PresetName.micro,
    part: Annotated[PartName, typer.Option("--part", help="The head alone, or a whole step.")] = PartName.head,
    reference: Annotated[
        int | None,
        typer.Option("--reference", min=2, help="Size that the others are compared with. [default: the first]"),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Sequences.")] = 4,
    n_seq: Annotated[int, typer.Option("--seq", min=1, help="Tokens of a sequence.")] = 256,
    cycles: Annotated[int, typer.Option("--cycles", min=2, help="Cycles; each times every size twice.")] = 20,
    head: Annotated[
        str, typer.Option("--head", help="Head: chunked, plain, compiled, torch, liger or cce.")
    ] = "chunked",
    compiled: Annotated[bool, typer.Option("--compile", help="Run the blocks through torch.compile.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the order and of the data.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="File to write the figures to as JSON.")] = None,
) -> None:
    """Time a training step, or the head alone, over vocabulary sizes: interleaved, against a reference size."""
    from dataclasses import asdict

    from vocab.environment import processor, versions
    from vocab.model import require_torch
    from vocab.model.config import preset as shape_of

    require_torch("timing a model")
    import torch

    from vocab.model.bench import BenchSettings, bench_sizes

    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    config = shape_of(preset.value, max_seq=n_seq)
    settings = BenchSettings(
        batch=batch,
        n_seq=n_seq,
        part=part.value,
        head=head,
        compile=compiled,
        dtype=torch.bfloat16 if on_gpu else torch.float32,
        cycles=cycles,
        seed=seed,
    )
    base = reference or sizes[0]
    with progress() as bar:
        task = bar.add_task(f"time the {part.value}", total=cycles, rate="")
        rows = bench_sizes(config, sizes, base, settings, device, lambda done: bar.update(task, completed=done))
    where = torch.cuda.get_device_name() if on_gpu else processor()
    _show(rows, base, batch * n_seq, f"{part.value} of {preset.value} against {base:,} ids, {where}")
    if json_file:
        facts = {**versions(), "torch": torch.__version__}
        content = {
            "device": where,
            "versions": facts,
            "reference": base,
            "settings": {**asdict(settings), "dtype": str(settings.dtype)},
            "rows": [asdict(row) for row in rows],
        }
        json_file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _show(rows: list[Timing], reference: int, n_tokens: int, title: str) -> None:
    from vocab.sizes import size_facts

    shown = table(title, ["ids", "Hamming weight", "zeros", "ms", "tokens/s", "time against", "95% interval"])
    for row in rows:
        facts = size_facts(row.n_ids)
        shown.add_row(
            row.name if row.name != str(row.n_ids) else f"{row.n_ids:,}",
            str(facts.hamming_weight),
            str(facts.trailing_zeros),
            f"{1e3 * row.seconds:,.2f}",
            f"{n_tokens / row.seconds:,.0f}",
            f"{row.ratio - 1:+.2%}",
            f"{row.low - 1:+.2%} to {row.high - 1:+.2%}",
        )
    console().print(shown)
    console().print(f"The last row times {reference:,} ids against itself: its interval is the noise of this run.")
