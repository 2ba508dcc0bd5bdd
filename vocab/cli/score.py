"""`vocab score`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vocab.choices import ProductPrecision, Side
from vocab.cli.corpora import (
    ColumnOption,
    DocumentsOption,
    EncodingErrorsOption,
    OnErrorOption,
    note_skipped,
    read_options,
)
from vocab.cli.screen import console, progress, stages, table
from vocab.cli.shared_options import Result
from vocab.cli.torch_threads import DeviceOption, TorchThreadsOption, use_torch_threads

if TYPE_CHECKING:
    from vocab.model import DomainScore, ModelScore


def score(
    model: Annotated[
        str, typer.Argument(help="Folder of a Hugging Face causal model (safetensors), a .gguf file, or a repository.")
    ],
    corpus: Annotated[
        list[str],
        typer.Option("--corpus", metavar="PATH", help="Text to score, as for vocab prune; each gets a row of its own."),
    ],
    tokenizer: Annotated[
        str | None, typer.Option("--tokenizer", help="Tokenizer, named as for vocab prune --source. [default: MODEL's]")
    ] = None,
    context: Annotated[
        int | None,
        typer.Option("--context", min=2, help="Tokens of a window at most. [default: the model's, at most 2,048]"),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option("--stride", min=1, help="Tokens from one window to the next. [default: half the context]"),
    ] = None,
    start: Annotated[
        str,
        typer.Option(
            "--start",
            help="What is read before each document: a special token by its text, none, or auto for the "
            "bos_token_id of config.json.",
        ),
    ] = "auto",
    most_bytes: Annotated[
        int | None,
        typer.Option(
            "--bytes", min=1, help="Score a sample of about this many bytes of each corpus, by hash. [default: all]"
        ),
    ] = None,
    side: Annotated[
        Side | None, typer.Option("--side", help="Only documents that counts train on (train) or hold out (held_out).")
    ] = None,
    batch_tokens: Annotated[
        int, typer.Option("--batch-tokens", min=1, help="Tokens computed at once; it changes speed and memory alone.")
    ] = 2048,
    precision: Annotated[
        ProductPrecision, typer.Option("--precision", help="float32, or bfloat16 for products.")
    ] = "float32",
    threads: TorchThreadsOption = None,
    device: DeviceOption = "auto",
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
) -> Result:
    """Score a causal model on text in bits per byte, which compares models whatever their tokenizers.

    Bytes are those of the text itself. A document longer than the context is cut into windows that overlap.
    """
    from vocab.corpus import DocumentCorpus
    from vocab.model import require_torch

    require_torch("scoring a model")
    use_torch_threads(threads)
    from vocab.model import score_model

    read = DocumentCorpus(corpus, options=read_options(column, documents, encoding_errors, on_error))
    with progress() as bar:
        scored = score_model(
            *(model, read),
            tokenizer=tokenizer,
            context=context,
            stride=stride,
            start=start,
            device=device,
            most_bytes=most_bytes,
            side=side,
            batch_tokens=batch_tokens,
            precision=precision,
            on_progress=stages(bar),
        )
    for part in read.parts:
        note_skipped(part.options)
    _show(scored)
    return Result(scored.for_report())


def _show(scored: ModelScore) -> None:
    columns = ["text", "documents", "bytes", "tokens", "bits per byte", "nats/token", "tokens/s", "bytes/s"]
    shown = table(f"{scored.model}: {scored.n_parameters:,} parameters, {scored.n_rows:,} rows", columns)
    for part in (*scored.parts, *([scored.total] if scored.parts[1:] else [])):
        shown.add_row(*_cells(part))
    screen = console()
    screen.print(shown)
    screen.print(
        f"Tokenizer: {scored.tokenizer}. Windows of {scored.context:,} tokens, {scored.stride:,} apart. Before each "
        f"document: {scored.start}. Seconds are those in the model."
    )
    for note in scored.notes:
        screen.print(note)


def _cells(part: DomainScore) -> list[str]:
    counts = [f"{n:,}" for n in (part.n_documents, part.n_bytes, part.n_tokens)]
    ratios = [f"{part.bits_per_byte:.4f}", f"{part.nats_per_token:.4f}"]
    return [part.name, *counts, *ratios, f"{part.tokens_per_second:,.0f}", f"{part.bytes_per_second:,.0f}"]
