"""`vocab compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vocab.choices import Preset
from vocab.cli.corpora import (
    ColumnOption,
    DocumentsOption,
    EncodingErrorsOption,
    OnErrorOption,
    ThreadsOption,
    read_options,
)
from vocab.cli.screen import console, progress, stages, stopped
from vocab.cli.shared_options import Result
from vocab.cli.torch_threads import DeviceOption


def compare(
    vocabularies: Annotated[
        list[str],
        typer.Argument(
            metavar="VOCABULARY", help="Two or more, as for `vocab prune --source`. Others are compared with the first."
        ),
    ],
    corpus: Annotated[
        list[str], typer.Option("--corpus", metavar="PATH", help="Files or folders of text. Repeat it for several.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the study, its rows, report and page.")] = Path(
        "comparison"
    ),
    megabytes: Annotated[
        float | None,
        typer.Option(min=0.001, help="MB of text to count or train on. [default: 20, or 0.4 with --train]"),
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Train models, and compare at equal text, tokens, compute and time.")
    ] = False,
    preset: Annotated[Preset, typer.Option("--preset", help="Shape of the models.")] = "micro",
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Models to train for each vocabulary.")] = 3,
    device: DeviceOption = "auto",
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> Result:
    """Tell which vocabulary is better for a model of your text: it writes, runs and reports a study.

    By default it counts n-grams through each vocabulary, which takes a minute. Bits per byte of held-out text are
    compared, with intervals. With --train it trains the same model through each. Repeat a stopped command to go on.
    """
    from vocab.experiments import compare_vocabularies

    try:
        with progress() as bar:
            found = compare_vocabularies(
                vocabularies,
                corpus,
                out,
                megabytes=megabytes,
                trains=train,
                preset=preset,
                n_seeds=seeds,
                options=read_options(column, documents, encoding_errors, on_error),
                device=device,
                n_threads=threads,
                on_progress=stages(bar),
            )
    except KeyboardInterrupt:
        stopped(f"rows are kept in {out}")
    for sentence in found.left_out:
        console(stderr=True).print(sentence, soft_wrap=True)
    for sentence in found.answer:
        console().print(sentence)
    console().print(f"Wrote {', '.join(path.name for path in found.files)} to {out}")
    return Result({"answer": found.answer, "files": found.files})
