"""`vocab heal`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vocab.choices import ProductPrecision
from vocab.cli.corpora import (
    ColumnOption,
    DocumentsOption,
    EncodingErrorsOption,
    OnErrorOption,
    documents_of,
    note_skipped,
    read_options,
)
from vocab.cli.screen import console, progress, say, stages, stopped, table
from vocab.cli.shared_options import Result
from vocab.cli.torch_threads import DeviceOption, TorchThreadsOption, use_torch_threads

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


def heal(
    model: Annotated[Path, typer.Argument(help="Folder that vocab transplant wrote.")],
    teacher: Annotated[
        str, typer.Option("--teacher", help="The unpruned model: its folder, a .gguf file or a repository.")
    ],
    corpus: Annotated[
        list[str],
        typer.Option(
            "--corpus",
            metavar="PATH[:WEIGHT]",
            help="Text to learn from, as for vocab prune. May be given several times.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; the model is in its folder model.")],
    n_steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of the optimiser.")] = 200,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Pieces of text of one step.")] = 8,
    micro_batch: Annotated[int, typer.Option("--micro-batch", min=1, help="Pieces that are computed at once.")] = 2,
    seq_len: Annotated[int, typer.Option("--seq", min=2, help="Tokens of a piece at most.")] = 512,
    learning_rate: Annotated[float, typer.Option("--learning-rate", help="The highest learning rate.")] = 1e-4,
    divergence: Annotated[
        float,
        typer.Option(
            "--divergence",
            min=0.0,
            help="Weight of the divergence from the teacher; 0 learns from the text alone, as a control.",
        ),
    ] = 1.0,
    next_token: Annotated[
        float, typer.Option("--next-token", min=0.0, help="Weight of the next-token loss on the text.")
    ] = 0.5,
    all_weights: Annotated[
        bool, typer.Option("--all", help="Train all weights, and not only embedding and head.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the order of pieces.")] = 0,
    precision: Annotated[
        ProductPrecision,
        typer.Option("--precision", help="float32, or bfloat16 for products; weights are trained in float32."),
    ] = "float32",
    teacher_tokenizer: Annotated[
        str | None, typer.Option("--teacher-tokenizer", help="Tokenizer of the teacher. [default: its own]")
    ] = None,
    held_out_bytes: Annotated[
        int, typer.Option("--held-out-bytes", min=1, help="Bytes of held-out text to score before and after.")
    ] = 50_000,
    checkpoint_steps: Annotated[int, typer.Option("--checkpoint-steps", min=1, help="Steps between checkpoints.")] = 50,
    threads: TorchThreadsOption = None,
    device: DeviceOption = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier run in the folder.")] = False,
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
) -> Result:
    """Let a transplanted model learn from the unpruned one on the same text, and show what that brought.

    Both read the text in their own ids, aligned by bytes. Stopped runs go on exactly with the same command.
    """
    from vocab.model import require_torch

    require_torch("healing a model")
    use_torch_threads(threads)
    from vocab.model import HealSettings, Stopped
    from vocab.model import heal as heal_model

    settings = HealSettings(
        **_whole(n_steps=n_steps, batch=batch, micro_batch=micro_batch, seq_len=seq_len, seed=seed),
        **_whole(learning_rate=learning_rate, divergence=divergence, next_token=next_token),
        **_whole(all_weights=all_weights, precision=precision),
    )
    read = documents_of(corpus, read_options(column, documents, encoding_errors, on_error))
    try:
        with progress() as bar:
            done = heal_model(
                *(model, teacher, read, out, settings),
                teacher_tokenizer=teacher_tokenizer,
                held_out_bytes=held_out_bytes,
                checkpoint_steps=checkpoint_steps,
                device=device,
                force=force,
                on_record=_bar(bar, n_steps),
                on_progress=stages(bar),
            )
    except Stopped:
        stopped(f"a checkpoint is kept in {out}")
    for part in read.parts:
        note_skipped(part.options)
    return _shown(done.report, out)


def _whole(**fields: Any) -> dict[str, Any]:
    """Fields of the settings, several to a line."""
    return fields


def _bar(bar: Bar, n_steps: int) -> Callable[[str, dict[str, Any]], None]:
    task = bar.add_task("heal", total=n_steps, rate="")

    def on_record(kind: str, row: dict[str, Any]) -> None:
        bits = f"{row['bits_per_byte']:.3f} bits/byte, teacher {row['teacher_bits_per_byte']:.3f}"
        bar.update(task, completed=row["step"], rate=f"{bits}, divergence {row['divergence']:.3f}")

    return on_record


def _shown(report: dict[str, Any], out: Path) -> Result:
    columns = ["", "bits per byte", "above the whole", "divergence", "parameters", "bytes/s"]
    shown = table(f"{report['model']} learnt from {report['teacher']}, {report['n_steps']:,} steps", columns)
    held_out, sizes = report["held_out"], report["n_parameters"]
    before, after = held_out["before"], held_out["after"]
    whole = (before["teacher_bits_per_byte"], "", "", sizes["teacher"], before["teacher_bytes_per_second"])
    shown.add_row("whole model", f"{whole[0]:.4f}", "", "", f"{whole[3]:,}", f"{whole[4]:,.0f}")
    for name, row in (("before", before), ("after", after)):
        above = f"{report['above_teacher'][name]:+.2%}"
        cells = (f"{row['bits_per_byte']:.4f}", above, f"{row['divergence']:.4f}", f"{sizes['student']:,}")
        shown.add_row(name, *cells, f"{row['student_bytes_per_second']:,.0f}")
    console().print(shown)
    console().print(
        f"On {before['n_bytes']:,} bytes held out, in pieces of at most {report['settings']['seq_len']:,} tokens. "
        "Divergence: nats a place from the whole model's next token."
    )
    for note in report["notes"]:
        say(note[0].upper() + note[1:])
    say(f"Wrote {out / 'model'}, report.json, log.jsonl")
    return Result(report)
