"""`vocab study`: new, run, report, list."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vocab.choices import StudyKind
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
from vocab.cli.torch_threads import DeviceOption

app = typer.Typer(help="Run studies from a specification, and write their report from rows.", no_args_is_help=True)

SpecArgument = Annotated[str, typer.Argument(metavar="SPEC", help="A TOML file, or a built-in study.")]
RowsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--rows",
        help="File of rows; may be given several times. [default: where `study run` writes them, else what comes "
        "with vocab]",
    ),
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
    device: DeviceOption = "auto",
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    threads: ThreadsOption = None,
) -> Result:
    """Do all runs of a study that have no row yet. A study that was killed resumes where it stopped."""
    from vocab.experiments import load_spec, run_study
    from vocab.experiments.study_places import own_rows

    study = load_spec(spec)
    folder = work or own_rows(study.name).parent
    path = rows or folder / own_rows(study.name).name
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
    from vocab.experiments import load_spec, rows_of, write_report

    loaded = [load_spec(spec) for spec in specs]
    paths = rows or [rows_of(study.name) for study in loaded]
    written = write_report(loaded, paths, out, force=force)
    screen = console()
    for sentence in written.sentences:
        screen.print(sentence)
    screen.print(f"Wrote {', '.join(path.name for path in written.files)} to {out}")
    return Result({"sentences": written.sentences, "files": [str(out / path.name) for path in written.files]})


@app.command("new", cls=GroupedCommand)
@with_shared_options
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="File to write; the study has its name.")],
    kind: Annotated[StudyKind, typer.Option("--kind", help="What it measures.")] = "ngram",
    force: ReplaceOption = False,
) -> Result:
    """Write a commented example of a study, to change and run. docs/study-files.md explains each setting."""
    from vocab.experiments import new_study

    new_study(file, kind, force=force)
    text = "" if kind == "speed" else " --corpus my-texts/"
    console().print(f"Wrote {file}. Run it: vocab study run {file}{text}", soft_wrap=True)
    return Result({"file": str(file), "kind": kind})


@app.command("list", cls=GroupedCommand)
@with_shared_options
def list_() -> Result:
    """List the built-in studies, with the files of their settings and of rows that come with vocab."""
    from vocab.experiments import builtin_studies
    from vocab.experiments.study_places import shipped_rows, shipped_spec

    studies, screen = builtin_studies(), console()
    files = {study.name: (shipped_spec(study.name), shipped_rows(study.name)) for study in studies}
    for study in studies:
        spec, rows = files[study.name]
        screen.print(f"{study.name}: {study.question}")
        screen.print(f"  settings: {spec}", soft_wrap=True)
        screen.print(f"  rows: {rows or 'none yet'}", soft_wrap=True)
    return Result([{"name": study.name, "question": study.question, "files": files[study.name]} for study in studies])
