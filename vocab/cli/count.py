"""`vocab count`, `vocab counts merge` and `vocab counts info`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vocab.cli.corpora import (
    ColumnOption,
    DocumentsOption,
    EncodingErrorsOption,
    MinCountOption,
    OnErrorOption,
    ThreadsOption,
    WithoutOption,
    count_bar,
    note_slow_split,
    read_options,
    stored_bytes,
    table_path,
)
from vocab.cli.grouped_help import GroupedCommand
from vocab.cli.named_files import ReplaceOption
from vocab.cli.screen import console, progress, stopped, table
from vocab.cli.shared_options import Result, with_shared_options

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from vocab.corpus.count_job import CountResult
    from vocab.corpus.count_metadata import CountMetadata
    from vocab.corpus.count_table import CountTable
    from vocab.corpus.counting import CountProgress
    from vocab.splitting import SplitPattern

counts_app = typer.Typer(help="Add up and look into count tables.", no_args_is_help=True, rich_markup_mode=None)


def count(
    corpus: Annotated[
        list[str],
        typer.Option(
            "--corpus",
            metavar="PATH",
            help="What to count: a file, folder or glob of text, JSON, CSV, Parquet or Arrow (plain, .gz, .zst, .bz2, "
            '.xz), "-" for standard input, or hf://DATASET[:SPLIT]. Several are added up.',
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for counts.parquet and report.json.")],
    source: Annotated[
        str, typer.Option("--source", help="Vocabulary whose split pattern is used, as for `vocab prune`.")
    ] = "cl100k_base",
    memory: Annotated[
        str | None,
        typer.Option(
            "--memory",
            help="Memory to use at most, like 512MB or 16GiB. [default: 4GB, and more with over 44 threads]",
        ),
    ] = None,
    min_count: MinCountOption = 1,
    shard: Annotated[
        str,
        typer.Option("--shard", metavar="I/N", help="Count every N-th file from the I-th on: one machine's share."),
    ] = "1/1",
    column: ColumnOption = "text",
    documents: DocumentsOption = "block",
    encoding_errors: EncodingErrorsOption = "replace",
    on_error: OnErrorOption = "stop",
    without: WithoutOption = None,
    threads: ThreadsOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Start over, replacing an earlier count in the folder.")
    ] = False,
) -> Result:
    """Count a corpus of any size once, for `vocab prune --counts`. Repeat an interrupted command to continue."""
    from vocab.corpus.count_job import CountJob, Shard
    from vocab.corpus.count_to_folder import Interrupted, count_to
    from vocab.corpus.process_memory import parse_bytes
    from vocab.threads import n_cores

    pattern = _pattern_of(source)
    options = read_options(column, documents, encoding_errors, on_error, without)
    job = CountJob(corpus, pattern, options, Shard.parse(shard), min_count)
    note_slow_split(pattern)
    try:
        with progress() as bar:
            done = count_to(
                out,
                job,
                memory_bytes=parse_bytes(memory) if memory else None,
                n_threads=threads or n_cores(),
                force=force,
                on_progress=_stages(bar, stored_bytes(corpus) if job.shard.n == 1 else None),
            )
    except Interrupted:
        stopped(f"what was counted is kept in {out}")
    _show(done, out)
    return Result(json.loads((out / "report.json").read_text(encoding="utf-8")))


def _pattern_of(source: str) -> SplitPattern:
    from vocab.errors import SourceError
    from vocab.formats import load

    if pattern := load(source).pattern:
        return pattern
    raise SourceError(
        f"{source} is given whole documents, so there is no split pattern to count by: name another `source`, or "
        "measure it on the text itself with vocab eval"
    )


def _stages(bar: Bar, total: int | None) -> Callable[[str, CountProgress], None]:
    """A function that shows the progress of counting, and then of adding up."""
    counting = count_bar(bar, total)
    adding: list[Any] = []

    def on_progress(stage: str, now: CountProgress) -> None:
        if stage == "count":
            counting(now)
            return
        if not adding:
            adding.append(bar.add_task("add up", total=None, rate=""))
        bar.update(adding[0], rate=f"{now.n_pretokens / 1e6:.2f} M distinct")

    return on_progress


def _show(done: CountResult, out: Path) -> None:
    screen = console()
    screen.print(_metadata_table(done.metadata, done.n_pretokens))
    screen.print(
        f"{done.seconds:,.1f} s, {done.bytes_per_second / 1e6:,.0f} MB/s of text, sorted runs: {done.n_runs}, "
        f"peak memory {done.peak_resident_bytes / 1e6:,.0f} MB."
    )
    tally = done.metadata.tally
    for sentence in done.skipped.sentences(tally.n_rows_without_text, tally.n_rows_skipped):
        screen.print(sentence, soft_wrap=True)
    screen.print(
        f"Wrote {out}: counts.parquet, report.json. Next: vocab prune --counts {out} --target 32000", soft_wrap=True
    )


def _metadata_table(metadata: CountMetadata, n_pretokens: int) -> Any:
    tally, left_out = metadata.tally, metadata.left_out
    shown = table(f"Counts of {metadata.name}", ["", "number"])
    rows = {
        "bytes of text": tally.n_bytes_read,
        "documents": tally.n_documents,
        "held out": tally.n_documents_held_out,
        "repaired: not UTF-8": tally.n_documents_repaired,
        "left out: not UTF-8": tally.n_documents_skipped,
        "left out: text of benchmarks": tally.n_documents_of_benchmarks,
        "rows left out: no text": tally.n_rows_without_text,
        "rows left out: bad": tally.n_rows_skipped,
        "distinct pre-tokens": n_pretokens,
    }
    if metadata.min_count > 1:
        rows |= {
            f"distinct left out: fewer than {metadata.min_count}": left_out.n_pretokens,
            "their occurrences": left_out.n_occurrences,
            "their bytes": left_out.n_bytes,
        }
    for name, number in rows.items():
        shown.add_row(name, f"{number:,}")
    return shown


@counts_app.command(cls=GroupedCommand)
@with_shared_options
def merge(
    tables: Annotated[list[str], typer.Argument(metavar="FILE...", help="Count tables, or folders that hold one.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    min_count: MinCountOption = 1,
    force: ReplaceOption = False,
) -> Result:
    """Add up count tables, such as those of several machines. Their order does not change the file."""
    from vocab.corpus.count_table import CountTable
    from vocab.corpus.merging import merge_count_tables
    from vocab.writing import check_file

    check_file(out, force=force, make_folders=True)
    paths = [table_path(path) for path in tables]
    total = sum(CountTable(path).n_rows for path in paths)
    with progress() as bar:
        task = bar.add_task("add up", total=total, rate="")
        metadata = merge_count_tables(paths, out, min_count=min_count, on_rows=lambda n: bar.advance(task, n))
    console().print(_metadata_table(metadata, CountTable(out).n_rows))
    console().print(f"Wrote {out}.", soft_wrap=True)
    return Result(_record(CountTable(out)))


@counts_app.command(cls=GroupedCommand)
@with_shared_options
def info(
    path: Annotated[str, typer.Argument(metavar="FILE", help="Count table, or a folder that holds one.")],
    top: Annotated[int, typer.Option("--top", min=0, help="How many of the most frequent pre-tokens to list.")] = 10,
) -> Result:
    """Check a whole count table and show a summary."""
    from vocab.corpus.count_table import CountTable, most_frequent
    from vocab.markers import is_marked
    from vocab.splitting import SplitPattern

    stored = CountTable(table_path(path))
    rows = most_frequent(stored, top)
    screen = console()
    screen.print(_metadata_table(stored.metadata, stored.n_rows))
    for entry in stored.metadata.corpus:
        screen.print(", ".join(f"{key} {value}" for key, value in entry.items()), soft_wrap=True)
    split = SplitPattern(stored.metadata.split_pattern).description
    screen.print(split[0].upper() + split[1:])
    screen.print(f"Held out: {stored.metadata.held_out_rule}.")
    if rows:
        shown = table("Most frequent", ["pre-token", "count", "documents", "held-out count"])
        for pretoken, values in rows:
            marked = is_marked(pretoken)
            name = repr((pretoken[1:-1] if marked else pretoken).decode(errors="replace"))
            shown.add_row(f"{name} (added token)" if marked else name, *(f"{v:,}" for v in values[:3]))
        screen.print(shown)
    return Result(_record(stored))


def _record(stored: CountTable) -> dict[str, Any]:
    """The metadata of a count table, as JSON types."""
    return {**json.loads(stored.metadata.to_json()), "n_pretokens": stored.n_rows}
