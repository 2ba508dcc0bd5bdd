"""Counting the corpora that a command names, with a progress bar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocab.cli.screen import progress

if TYPE_CHECKING:
    from vocab.corpus.counting import CorpusCounts
    from vocab.splitting import SplitPattern

CorpusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--corpus",
        metavar="PATH",
        help="Text to choose tokens by: a file, folder or glob of text, JSON lines or Parquet (plain, .gz, .zst), "
        '"-" for standard input, or hf://DATASET[:SPLIT]. May be given several times. Default: a built-in profile.',
    ),
]
ColumnOption = Annotated[str, typer.Option("--column", help="Column that holds the text in JSON lines and Parquet.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads to use; the result does not depend on it. [default: all cores]"),
]


def count_corpora(places: Sequence[str], pattern: SplitPattern, column: str, n_threads: int) -> CorpusCounts:
    """Count each place as one part of a corpus."""
    from vocab.corpus.counting import count

    sizes = [_n_bytes(place) for place in places]
    total = sum(sizes) if all(sizes) else None
    with progress() as bar:
        task = bar.add_task("count pre-tokens", total=total, rate="")

        def on_bytes(n_bytes: int) -> None:
            bar.advance(task, n_bytes)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{speed / 1e6:,.0f} MB/s" if speed else "")

        return count(places, pattern, column=column, n_threads=n_threads, on_bytes=on_bytes)


def _n_bytes(place: str) -> int:
    """Bytes behind a place where they are known before reading; packed files only tell when read."""
    path = Path(place)
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else []
    if any(p.suffix in (".gz", ".zst", ".parquet", ".jsonl") for p in files):
        return 0
    return sum(p.stat().st_size for p in files)
