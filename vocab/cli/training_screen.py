"""What `vocab train` shows: the plan, each step and evaluation, the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocab.cli.screen import console, say, table
from vocab.shown_text import on_screen

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from vocab.model.hardware.parallel import Workers
    from vocab.model.network.config import ModelConfig
    from vocab.model.training.settings import TrainSettings


def announce(config: ModelConfig, settings: TrainSettings, name: str, n_bytes: int) -> None:
    """Say what will be trained, and on how much."""
    console().print(
        f"{name}: {config.n_parameters:,} parameters, {config.n_parameters_without_embeddings:,} without embeddings; "
        f"{settings.plan.n_steps:,} steps of {settings.batch * settings.seq_len:,} tokens; {n_bytes / 1e6:,.1f} MB."
    )


def record_bar(
    bar: Bar, config: ModelConfig, settings: TrainSettings, workers: Workers
) -> Callable[[str, dict[str, Any]], None]:
    """Show loss, bits per byte, speed and MFU of each step; print evaluations above the bar."""
    from vocab.model.timing.throughput import peak

    task = bar.add_task("train", total=settings.plan.n_steps, rate="")
    flops = config.flops_per_token(settings.seq_len)
    top = peak(workers.device).flops * workers.world

    def on_record(kind: str, row: dict[str, Any]) -> None:
        if kind == "step":
            bits = "" if row["bits_per_byte"] is None else f"{row['bits_per_byte']:.3f} bits/byte  "
            rate = row["tokens_per_second"]
            speed = f"{rate:,.0f} tok/s  {row['bytes_per_second'] / 1e3:,.0f} kB/s  MFU {rate * flops / top:.0%}"
            bar.update(task, completed=row["step"], rate=f"loss {row['loss']:.3f}  {bits}{speed}")
        elif kind == "eval":
            bits = f"{row['held_out_bits_per_byte']:.4f} bits per byte held out"
            bar.console.print(f"step {row['step']:,}, {row['bytes'] / 1e6:,.1f} MB: {bits}")
        elif kind == "sample":
            bar.console.print(f"step {row['step']:,}: {on_screen(row['prompt'] + row['text'])}", markup=False)
        elif kind == "rollback":
            bar.console.print(f"loss {row['loss']:.3f} at step {row['step']:,}: back to step {row['back_to']:,}")
        elif kind == "longer":
            bar.console.print(
                f"from step {row['step']:,} on to {row['tokens_planned']:,} tokens, not {row['before']:,}"
            )

    return on_record


def show(report: dict[str, Any], out: Path) -> None:
    """Show the report of a run."""
    held_out, speed = report["held_out"], report["throughput"]
    shown = table(f"{report['vocabulary']['name']}, {report['n_steps']:,} steps", ["", "value"])
    if held_out["n_bytes"]:
        shown.add_row("held-out bits per byte", f"{held_out['bits_per_byte']:.4f}")
        shown.add_row("held-out nats a token", f"{held_out['nats_per_token']:.4f}")
    shown.add_row("MB trained on", f"{report['n_bytes'] / 1e6:,.1f}")
    if len(report["corpus"]) > 1:
        for part in report["corpus"]:
            given = f"{part['share_given']:.1%}, {part['epochs']:,.2f} times all of it"
            shown.add_row(f"from {part['name']}", given)
    if speed:
        low, high = (1e3 * x for x in speed["step_seconds_quartiles"])
        shown.add_row("tokens a second", f"{speed['tokens_per_second']:,.0f}")
        shown.add_row("bytes a second", f"{speed['bytes_per_second']:,.0f}")
        shown.add_row("ms a step (quartiles)", f"{1e3 * speed['step_seconds']:,.1f} ({low:,.1f} to {high:,.1f})")
        shown.add_row("MFU (attention halved)", f"{speed['mfu']:.1%} ({speed['mfu_causal']:.1%})")
    shown.add_row("attention, head", f"{report['ran']['attention']}, {report['ran']['head']}")
    console().print(shown)
    console().print(
        f"MFU: {report['mfu']['formula']}; peak {report['mfu']['peak_flops'] / 1e9:,.0f} GFLOP/s, "
        f"{report['mfu']['peak_source']}."
    )
    for note in report["notes"]:
        console().print(note)
    say(f"Wrote {out / 'model'}, report.json, log.jsonl")
