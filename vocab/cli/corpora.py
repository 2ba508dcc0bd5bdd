"""Options and progress that commands share for reading and counting corpora."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.choices import DocumentUnit, EncodingErrors, OnError
from vocab.cli.grouped_help import READING
from vocab.cli.screen import console, progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from vocab.corpus.counting import CorpusCounts, CountProgress
    from vocab.corpus.document_corpus import DocumentCorpus, OnBlock
    from vocab.corpus.read_options import ReadOptions
    from vocab.splitting import SplitPattern


CorpusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--corpus",
        metavar="PATH[:WEIGHT]",
        help="Text to choose tokens by: a file, folder or glob of text, JSON, CSV, Parquet or Arrow (plain, .gz, .zst, "
        '.bz2, .xz), "-" for standard input, or hf://DATASET[:SPLIT]. May be given several times; weights are shares '
        "of the bytes, like --corpus books/:2 --corpus code/:1. Default: a built-in profile.",
    ),
]
CountsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--counts",
        metavar="FILE[:WEIGHT]",
        help="Count table made by `vocab count`, or its folder, in place of text. May be given several times.",
    ),
]
ColumnOption = Annotated[
    str,
    typer.Option(
        "--column",
        rich_help_panel=READING,
        help="Column that holds the text in JSON, CSV, Parquet and Arrow; a dot leads into nested ones, like "
        "messages.content.",
    ),
]
DocumentsOption = Annotated[
    DocumentUnit,
    typer.Option(
        "--documents",
        rich_help_panel=READING,
        help="What one document of a text file is: a block of about 64 KiB of whole lines, the file, or the text "
        "between blank lines.",
    ),
]
EncodingErrorsOption = Annotated[
    EncodingErrors,
    typer.Option(
        "--encoding-errors",
        rich_help_panel=READING,
        help="Documents that are not UTF-8: replace the invalid bytes, skip the document, or refuse the corpus.",
    ),
]
OnErrorOption = Annotated[
    OnError,
    typer.Option(
        "--on-error",
        rich_help_panel=READING,
        help="Rows and files that cannot be read: stop, or skip them and count what was skipped.",
    ),
]
WithoutOption = Annotated[
    list[str] | None,
    typer.Option(
        "--without",
        metavar="BENCHMARK.jsonl",
        rich_help_panel=READING,
        help="Leave out documents that share 13 words in a row with this file of JSON lines: all texts of a row count, "
        "such as prompt and answer. May be given several times.",
    ),
]
MinCountOption = Annotated[
    int,
    typer.Option(
        "--min-count", rich_help_panel=READING, min=1, help="Leave out pre-tokens that occur fewer times than this."
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads to use; the result does not depend on it. [default: all cores]"),
]


def read_options(
    column: str,
    documents: DocumentUnit,
    encoding_errors: EncodingErrors,
    on_error: OnError,
    without: Sequence[str] | None = None,
) -> ReadOptions:
    """The options of reading a corpus; `without` are files of benchmarks."""
    from vocab.corpus.benchmark_text import read_benchmarks
    from vocab.corpus.read_options import ReadOptions

    return ReadOptions(column, documents, encoding_errors, on_error, read_benchmarks(without) if without else None)


def corpus_of(
    corpora: Sequence[str] | None,
    tables: Sequence[str] | None,
    pattern: SplitPattern,
    options: ReadOptions,
    n_threads: int,
    min_count: int = 1,
) -> CorpusCounts | None:
    """Count the corpora and read the count tables that a command names, as one corpus; None when it names none.

    Args:
        corpora: each as PATH[:WEIGHT].
        tables: count tables or their folders, each as PATH[:WEIGHT].
        pattern: split pattern of the vocabulary.
        options: how corpora are read. What is left out is added to their `skipped`, once for several counts.
        n_threads: threads to count with.
        min_count: the least count of a pre-token of a table.
    """
    from vocab.corpus.count_table import read_part
    from vocab.corpus.counting import count
    from vocab.corpus.mixture import mixed
    from vocab.corpus.skipped import Skipped

    if not corpora and not tables:
        return None
    named = [path_and_weight(text) for text in corpora or []]
    stored = [path_and_weight(text) for text in tables or []]
    parts = [read_part(table_path(path), pattern, min_count) for path, _ in stored]
    if named:
        note_slow_split(pattern)
        names = [name for name, _ in named]
        own = replace(options, skipped=Skipped())
        with progress() as bar:
            counted = count(
                names, pattern, options=own, n_threads=n_threads, on_progress=count_bar(bar, stored_bytes(names))
            )
        if not options.skipped.sentences():  # else an earlier count of the same corpora has said so
            note_skipped(own)
            options.skipped.extend(own.skipped)
        parts = [*counted.parts, *parts]
    return mixed(parts, [weight for _, weight in [*named, *stored]])


def note_skipped(options: ReadOptions) -> None:
    """Tell the user what reading left out."""
    for sentence in options.skipped.sentences():
        console(stderr=True).print(sentence, soft_wrap=True)


def documents_of(corpora: Sequence[str], options: ReadOptions) -> DocumentCorpus:
    """The documents of the corpora that a command names, each as PATH[:WEIGHT]."""
    from vocab.corpus.document_corpus import DocumentCorpus

    named = [path_and_weight(text) for text in corpora]
    return DocumentCorpus([name for name, _ in named], options=options, shares=[weight for _, weight in named])


def texts_of(corpora: Sequence[str] | None, options: ReadOptions) -> Iterator[str]:
    """The documents of some corpora as strings; `note_skipped` then says what was left out."""
    from vocab.corpus.documents import read_documents

    for name in corpora or []:
        yield from read_documents(name, options)


@contextmanager
def documents_bar(corpora: Sequence[str], label: str = "encode documents") -> Iterator[OnBlock]:
    """A function that shows progress over whole documents from its first call on."""
    with progress() as bar:
        tasks: list[TaskID] = []
        n_read = 0

        def on_block(n_stored_bytes: int, n_bytes_read: int) -> None:
            nonlocal n_read
            if not tasks:
                names = [path_and_weight(text)[0] for text in corpora]
                tasks.append(bar.add_task(label, total=stored_bytes(names), rate=""))
            n_read += n_bytes_read
            bar.update(tasks[0], advance=n_stored_bytes, rate=f"{n_read / 1e6:,.0f} MB")

        yield on_block


def note_slow_split(pattern: SplitPattern) -> None:
    """Tell the user when a split pattern has no compiled splitter."""
    if not pattern.has_kernel:
        note = "This split pattern has no compiled splitter: it runs on the regex package, about ten times slower."
        console(stderr=True).print(note)


def path_and_weight(text: str) -> tuple[str, float | None]:
    """Split "books/:2" into ("books/", 2.0); a path that exists is taken whole, without a weight.

    Raises CorpusError for a number below 0, or one in another notation, after a path that exists.
    """
    from vocab.errors import CorpusError

    match = re.fullmatch(r"(.*):(\d+(?:\.\d+)?)", text)
    if match is None or Path(text).exists():
        path, colon, weight = text.rpartition(":")
        if colon and re.fullmatch(r"[-+]?\d[\d.eE+-]*", weight) and not Path(text).exists() and Path(path).exists():
            raise CorpusError(f"corpus {text}: {weight} is no weight: give a number above 0, like 2 or 0.5")
        return text, None
    return match[1], float(match[2])


def table_path(path: str | Path) -> Path:
    """The file of a count table, given that file or the folder that `vocab count` wrote.

    Raises CorpusError for an empty name.
    """
    from vocab.errors import CorpusError

    if not str(path).strip():
        raise CorpusError("the name of a count table is empty: give a file or folder, or . for the current folder")
    return Path(path) / "counts.parquet" if Path(path).is_dir() else Path(path)


def stored_bytes(corpora: Sequence[str]) -> int | None:
    """Bytes on disk of some corpora, None where they are not known before reading."""
    from vocab.corpus.sources import list_sources

    sizes = [source.n_stored_bytes for name in corpora for source in list_sources(name)]
    return sum(sizes) if all(sizes) else None


def count_bar(bar: Bar, total: int | None) -> Callable[[CountProgress], None]:
    """A function that shows progress: bytes, MB/s of text, distinct pre-tokens and the time left."""
    task = bar.add_task("count pre-tokens", total=total, rate="")
    last = 0

    def on_progress(now: CountProgress) -> None:
        nonlocal last
        bar.advance(task, now.n_stored_bytes - last)
        last = now.n_stored_bytes
        elapsed = bar.tasks[bar.task_ids.index(task)].elapsed or 0.0
        speed = f"{now.n_bytes_read / 1e6 / elapsed:,.0f} MB/s" if elapsed > 0 else ""
        bar.update(task, rate=f"{now.n_bytes_read / 1e6:,.0f} MB  {speed}  {now.n_pretokens / 1e6:.2f} M distinct")

    return on_progress
