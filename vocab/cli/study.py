"""`vocab study`: run, report, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vocab.cli.corpora import (
    ColumnOption,
    DocumentsOption,
    EncodingErrorsOption,
    OnErrorOption,
    ThreadsOption,
    read_options,
)
from vocab.cli.grouped_help import GroupedCommand
from vocab.cli.named_files import ReplaceOption
from vocab.cli.screen import console, progress, stages, stopped
from vocab.cli.shared_options import Result, with_shared_options

app = typer.Typer(help="Run studies from a specification, and write their report from rows.", no_args_is_help=True)

SpecArgument = Annotated[str, typer.Argument(metavar="SPEC", help="A TOML file, or a built-in study.")]
RowsOption = Annotated[
    list[Path] | None,
    typer.Option("--rows", help="File of rows; may be given several times. [default: where `study run` writes them]"),
]


@app.command("run", cls=GroupedCommand)
@with_shared_options
def run(
    spec: SpecArgument,
    rows: Annotated[
        Path | None, typer.Option("--rows", help="File to add rows to. [default: NAME.jsonl in --work]")
    ] = None,
    work: Annotated[
        Path | None, typer.Option("--work", help="Folder for vocabularies, shards and runs. [default: ./study-NAME]")
    ] = None,
    corpus: Annotated[
        list[str] | None,
        typer.Option("--corpus", metavar="PATH", help="Files or folders of text, which studies of loss need."),
    ] = None,
    timing: Annotated[
        list[str] | None,
        typer.Option(
            "--timing", metavar="NAME", help="Only this timing of a study of speed. May be given several times."
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> Result:
    """Do all runs of a study that have no row yet. A study that was killed resumes where it stopped."""
    from vocab.experiments import load_spec, run_study

    study = load_spec(spec)
    folder = work or Path(f"study-{study.name}")
    path = rows or folder / f"{study.name}.jsonl"
    try:
        with progress() as bar:
            on_progress = stages(bar)
            done = run_study(
                *(study, path, folder),
                corpus=corpus or [],
                options=read_options(column, documents, encoding_errors, on_error),
                device=device,
                n_threads=threads,
                timings=timing or [],
                on_progress=on_progress,
            )
    except KeyboardInterrupt:
        stopped(f"rows are kept in {path}")
    for sentence in done.left_out:
        console(stderr=True).print(sentence, soft_wrap=True)
    console().print(f"{study.name}: {done.n_new:,} new rows, {len(done.rows):,} in all, in {path}")
    return Result({"study": study.name, "n_new": done.n_new, "n_rows": len(done.rows), "rows": str(path)})


@app.command("report", cls=GroupedCommand)
@with_shared_options
def report(
    specs: Annotated[list[str], typer.Argument(metavar="SPEC...", help="TOML files, or built-in studies.")],
    rows: RowsOption = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for study.md, its figures, and study.html.")
    ] = Path(),
    force: ReplaceOption = False,
) -> Result:
    """Write the report of studies, with tables, figures and a page, from their rows alone."""
    from vocab.experiments import load_spec, write_report

    loaded = [load_spec(spec) for spec in specs]
    paths = rows or [Path(f"study-{study.name}") / f"{study.name}.jsonl" for study in loaded]
    written = write_report(loaded, paths, out, force=force)
    screen = console()
    for sentence in written.sentences:
        screen.print(sentence)
    screen.print(f"Wrote {', '.join(path.name for path in written.files)} to {out}")
    return Result({"sentences": written.sentences, "files": [str(out / path.name) for path in written.files]})


@app.command("list", cls=GroupedCommand)
@with_shared_options
def list_() -> Result:
    """List the built-in studies."""
    from vocab.experiments import builtin_studies

    studies = builtin_studies()
    for study in studies:
        console().print(f"{study.name}: {study.question}")
    return Result([{"name": study.name, "question": study.question} for study in studies])
