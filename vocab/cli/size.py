"""`vocab size`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from vocab.choices import ByteInferenceMethod, Preset
from vocab.cli.corpora import (
    ColumnOption,
    CorpusOption,
    CountsOption,
    DocumentsOption,
    EncodingErrorsOption,
    OnErrorOption,
    ThreadsOption,
    corpus_of,
    read_options,
)
from vocab.cli.screen import console, progress, stages, table
from vocab.cli.shared_options import Result


def size(
    corpus: CorpusOption = None,
    source: Annotated[str, typer.Option("--source", help="Vocabulary whose tokens are kept.")] = "cl100k_base",
    counts: CountsOption = None,
    preset: Annotated[Preset, typer.Option("--preset", help="Shape of the model.")] = "gpt2-124m-class",
    device: Annotated[
        Literal["cpu", "cuda"], typer.Option("--device", help="Whose measured times and losses count.")
    ] = "cpu",
    inference: Annotated[
        ByteInferenceMethod, typer.Option("--inference", help="How text is cut into tokens.")
    ] = "merges",
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> Result:
    """Say how many ids a vocabulary should have for a model and a text: a range, with its reasons.

    Compute is that of the same text through a decoder of this shape. Losses and times are those of studies whose rows
    come with vocab. Without --corpus the built-in profile stands for your text.
    """
    from vocab.experiments import choose_size
    from vocab.formats import load_lossless
    from vocab.threads import n_cores

    whole = load_lossless(source)
    options = read_options(column, documents, encoding_errors, on_error)
    counted = corpus_of(corpus, counts, whole.pattern, options, threads or n_cores())
    with progress() as bar:
        found = choose_size(
            whole,
            corpus=counted,
            preset=preset,
            device=device,
            inference=inference,
            n_threads=threads,
            on_progress=stages(bar),
        )
    screen = console()
    suggested = f"; a good size for hardware is {found.suggested:,}." if found.suggested else None
    end = suggested or ": what to trust depends on what it is for."
    screen.print(f"From {found.first:,} to {found.last:,} ids{end}")
    shown = table("Reasons", ["what is least", "from", "best", "to"])
    for reason in found.reasons:
        shown.add_row(reason.what, f"{reason.first:,}", f"{reason.best:,}", f"{reason.last:,}")
    screen.print(shown)
    for sentence in [*(reason.trust for reason in found.reasons), *found.notes]:
        screen.print(sentence)
    return Result(found)
