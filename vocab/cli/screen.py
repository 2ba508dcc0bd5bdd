"""What all commands show: a progress bar, tables of at most 100 columns, numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from vocab.analysis.evaluation import Compression
    from vocab.progress import OnProgress

MAX_COLUMNS = 100
# Exit code after Ctrl-C.
INTERRUPTED = 130


def console(*, stderr: bool = False) -> Console:
    """A console no wider than 100 columns."""
    from rich.console import Console

    screen = Console(stderr=stderr, highlight=False)
    if screen.width > MAX_COLUMNS or not screen.is_terminal:
        return Console(stderr=stderr, highlight=False, width=MAX_COLUMNS)
    return screen


def table(title: str, columns: list[str], n_text: int = 1) -> Table:
    """An empty table whose first `n_text` columns are text and whose others are numbers."""
    from rich import box
    from rich.table import Table

    empty = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for k, name in enumerate(columns):
        empty.add_column(name, justify="left" if k < n_text else "right", overflow="fold")
    return empty


def stopped(kept: str) -> NoReturn:
    """Exit after Ctrl-C with code 130 and one sentence, which says what is kept."""
    typer.echo(f"vocab: stopped; {kept}: repeat the command to go on", err=True)
    sys.exit(INTERRUPTED)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show progress on standard error, with rate and time left; nothing where that is not a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[rate]:>12}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    screen = console(stderr=True)
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        yield bar


def stages(bar: Progress) -> OnProgress:
    """An `OnProgress` that shows each stage as a bar; text after a colon in its name is shown as its rate."""
    tasks: dict[str, int] = {}

    def on_progress(stage: str, done: int, total: int) -> None:
        stage, _, news = stage.partition(": ")
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=None, rate="")
        task = tasks[stage]
        speed = bar.tasks[bar.task_ids.index(task)].speed  # type: ignore[arg-type]
        rate = news or (f"{speed:,.0f}/s" if speed and total > 1 else "")
        bar.update(task, completed=done, total=total if total > 1 or done else None, rate=rate)  # type: ignore[arg-type]

    return on_progress


def ratio_cells(text: Compression, share: float) -> list[str]:
    """Bytes per token and a change in signed per cent; dashes for empty text."""
    return [f"{text.bytes_per_token:.3f}", f"{share:+.2%}"] if text.n_bytes else ["–", "–"]
