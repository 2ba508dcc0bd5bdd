"""`vocab evaluate-model`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vocab.cli.corpora import (
    ColumnOption,
    DocumentsOption,
    EncodingErrorsOption,
    OnErrorOption,
    note_skipped,
    read_options,
)
from vocab.cli.screen import console, table
from vocab.cli.shared_options import Result
from vocab.cli.torch_threads import DeviceOption, TorchThreadsOption, use_torch_threads

if TYPE_CHECKING:
    from vocab.model import ModelEvaluation


def evaluate_model(
    model: Annotated[
        str, typer.Argument(help="Folder of a Hugging Face causal model (safetensors), or of a run of `vocab train`.")
    ],
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="YAML",
            help="Task file of lm-eval with its data in its folder (dataset_path: json). May be given several times.",
        ),
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option("--corpus", metavar="PATH", help="Held-out text, of which to give bits per byte as well."),
    ] = None,
    few_shot: Annotated[
        int | None, typer.Option("--few-shot", min=0, help="Examples before each document. [default: the task's]")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Documents of each task at most.")] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Sequences computed at once.")] = 8,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the choice of examples.")] = 0,
    threads: TorchThreadsOption = None,
    device: DeviceOption = "auto",
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
) -> Result:
    """Evaluate a causal model on tasks of lm-eval from local files, and on text in bits per byte."""
    from vocab.corpus import DocumentCorpus
    from vocab.errors import TrainingError
    from vocab.model import require_torch

    require_torch("evaluating a model")
    use_torch_threads(threads)
    from vocab.model import evaluate_model as evaluate

    if not task and not corpus:
        raise TrainingError("there is nothing to evaluate on: name a task file with --task, or text with --corpus")
    options = read_options(column, documents, encoding_errors, on_error)
    read = DocumentCorpus(corpus, options=options) if corpus else None
    found = evaluate(
        *(model, task or []), corpus=read, few_shot=few_shot, limit=limit, batch=batch, seed=seed, device=device
    )
    for part in read.parts if read else ():
        note_skipped(part.options)
    _show(found)
    return Result(found.for_report())


def _show(found: ModelEvaluation) -> None:
    shown = table(f"{found.model}: {found.n_parameters:,} parameters", ["", "measure", "value", "±", "documents"])
    for row in found.tasks:
        name = row.metric if row.filtered == "none" else f"{row.metric} ({row.filtered})"
        error = "" if row.error is None else f"{row.error:.4f}"
        shown.add_row(f"{row.task}, {row.few_shot}-shot", name, f"{row.value:.4f}", error, f"{row.n_documents:,}")
    for part in found.text.parts if found.text else ():
        shown.add_row(part.name, "bits per byte", f"{part.bits_per_byte:.4f}", "", f"{part.n_documents:,}")
    console().print(shown)
    console().print(f"By lm-eval {found.lm_eval}; ± is the standard error.")
