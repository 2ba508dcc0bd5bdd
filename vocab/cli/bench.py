"""`vocab bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vocab.choices import Preset, TimedPart
from vocab.cli.named_files import ReplaceOption
from vocab.cli.screen import console, progress, table
from vocab.cli.shared_options import Result

if TYPE_CHECKING:
    import torch

    from vocab.model.network.config import ModelConfig
    from vocab.model.timing.bench import BenchSettings, Timing


def bench(
    sizes: Annotated[
        list[str],
        typer.Option(
            "--size",
            metavar="IDS[=BYTES]",
            help="Vocabulary size to time, with its bytes a token for bytes a second. Give several.",
        ),
    ],
    preset: Annotated[Preset, typer.Option("--preset", help="Shape of the model.")] = "micro",
    part: Annotated[TimedPart, typer.Option("--part", help="The head alone, or a whole step.")] = "head",
    reference: Annotated[
        int | None,
        typer.Option("--reference", min=2, help="Size that the others are compared with. [default: the first]"),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Sequences.")] = 4,
    seq_len: Annotated[int, typer.Option("--seq", min=1, help="Tokens of a sequence.")] = 256,
    cycles: Annotated[int, typer.Option("--cycles", min=2, help="Cycles; each times every size twice.")] = 20,
    head: Annotated[
        str, typer.Option("--head", help="Head: chunked, plain, compiled, torch, liger or cce.")
    ] = "chunked",
    compiled: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", help="Run the blocks through torch.compile. [default: on a GPU]"),
    ] = None,
    padding: Annotated[
        bool, typer.Option("--padding/--no-padding", help="Whether the compiler may pad shapes.")
    ] = True,
    parts: Annotated[
        bool, typer.Option("--parts", help="Show where the time of a step of the reference goes.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the order and of the data.")] = 0,
    rows_file: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write rows to, one JSON object each.")
    ] = None,
    force: ReplaceOption = False,
) -> Result:
    """Time a training step, or the head alone, over vocabulary sizes: interleaved, against a reference size."""
    device = _set_up()
    from vocab.model.hardware.precision import usual_dtype
    from vocab.model.network.config import preset as preset_shape
    from vocab.model.timing.bench import BenchSettings
    from vocab.writing import check_file

    if rows_file:
        check_file(rows_file, force=force)
    bytes_per_token = _sizes(sizes)
    config = preset_shape(preset, max_seq_len=seq_len)
    settings = BenchSettings(
        batch=batch,
        seq_len=seq_len,
        part=part,
        head=head,
        compile=device.type == "cuda" if compiled is None else compiled,
        padding=padding,
        dtype=usual_dtype(device),
        cycles=cycles,
        seed=seed,
    )
    base = reference or next(iter(bytes_per_token))
    timings = _timings(config, list(bytes_per_token), base, settings, device)
    known = {size: value for size, value in bytes_per_token.items() if value is not None}
    rows = _report(timings, preset, base, config, settings, known, device, rows_file)
    if parts:
        _show_parts(config, base, settings, device)
    return Result(rows)


def _set_up() -> torch.device:
    """The device that is timed, once torch is known to be there."""
    from vocab.model import require_torch
    from vocab.threads import sleep_when_waiting

    require_torch("timing a model")
    sleep_when_waiting()
    from vocab.model.hardware.parallel import choose_device

    return choose_device("auto")


def _timings(
    config: ModelConfig, sizes: list[int], reference: int, settings: BenchSettings, device: torch.device
) -> list[Timing]:
    """Timings of all sizes under a progress bar."""
    from vocab.model.timing.bench import bench_sizes

    with progress() as bar:
        task = bar.add_task(f"time the {settings.part}", total=settings.cycles, rate="")
        return bench_sizes(config, sizes, reference, settings, device, lambda done: bar.update(task, completed=done))


def _report(
    timings: list[Timing],
    preset: str,
    reference: int,
    config: ModelConfig,
    settings: BenchSettings,
    bytes_per_token: dict[int, float],
    device: torch.device,
    rows_file: Path | None,
) -> list[dict[str, Any]]:
    """Show the timings, and give them as rows, which are written when there is a file for them."""
    from vocab.model.hardware.machine import device_name
    from vocab.model.timing.bench_rows import json_row, write_rows
    from vocab.model.timing.throughput import peak

    top = peak(device)
    title = f"{settings.part} of {preset} against {reference:,} ids, {device_name(device)}"
    _show(timings, reference, settings.n_tokens, bytes_per_token, top.flops, title)
    console().print(f"Peak: {top.flops / 1e9:,.0f} GFLOP/s, {top.source}.")
    rows = [json_row(timing, config, settings, top, bytes_per_token, device) for timing in timings]
    if rows_file:
        write_rows(rows, rows_file)
    return rows


def _sizes(texts: list[str]) -> dict[int, float | None]:
    """Sizes with their bytes a token, None where not given."""
    from vocab.errors import TrainingError

    bytes_per_token: dict[int, float | None] = {}
    for text in texts:
        size, equals, n_bytes = text.partition("=")
        try:
            bytes_per_token[int(size)] = float(n_bytes) if equals else None
        except ValueError:
            raise TrainingError(f"--size takes IDS or IDS=BYTES, not {text!r}") from None
        if int(size) < 2:
            raise TrainingError(f"--size must be at least 2, not {size}")
    return bytes_per_token


def _show(
    timings: list[Timing], reference: int, n_tokens: int, bytes_per_token: dict[int, float], top: float, title: str
) -> None:
    from vocab.sizes import size_facts

    columns = ["ids", "ones", "zeros", "ms (quartiles)", "tokens/s", "kB/s", "of peak", "time against (95%)"]
    shown = table(title, columns)
    for row in timings:
        facts = size_facts(row.n_ids)
        low, high = (1e3 * x for x in row.seconds_quartiles)
        of_text = bytes_per_token.get(row.n_ids)
        shown.add_row(
            row.name if row.name != str(row.n_ids) else f"{row.n_ids:,}",
            str(facts.hamming_weight),
            str(facts.trailing_zeros),
            f"{1e3 * row.seconds:,.1f} ({low:,.1f}-{high:,.1f})",
            f"{n_tokens / row.seconds:,.0f}",
            "" if of_text is None else f"{n_tokens * of_text / row.seconds / 1e3:,.0f}",
            f"{row.flops / row.seconds / top:.0%}",
            f"{row.ratio - 1:+.2%} ({100 * row.low - 100:+.2f} to {100 * row.high - 100:+.2f})",
        )
    console().print(shown)
    console().print("Ones and trailing zeros are of the size in binary (`vocab sizes`).")
    console().print(f"The last row times {reference:,} ids against itself: its interval is the noise of this run.")


def _show_parts(config: ModelConfig, n_ids: int, settings: BenchSettings, device: torch.device) -> None:
    from vocab.model.timing.step_parts import median_by_part

    seconds = median_by_part(config.with_fields({"n_ids": n_ids}), settings, device)
    shown = table("Where a step's time goes", ["part", "ms", "share"])
    total = sum(seconds.values())
    for name, value in seconds.items():
        shown.add_row(name, f"{1e3 * value:,.2f}", f"{value / total:.0%}")
    console().print(shown)
