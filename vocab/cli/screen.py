"""What all commands show: a progress bar, tables of at most 100 columns, numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from vocab.shown_text import on_screen, one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

    from vocab.analysis.evaluation import Compression
    from vocab.progress import OnProgress

MAX_COLUMNS = 100
# Exit code after Ctrl-C.
INTERRUPTED = 130


def console(*, stderr: bool = False) -> Console:
    """A console no wider than 100 columns, which shows text as it is: no markup, no emoji by name, no control."""
    kind = _plain_console()
    screen = kind(stderr=stderr, highlight=False, markup=False, emoji=False)
    if screen.width > MAX_COLUMNS or not screen.is_terminal:
        return kind(stderr=stderr, highlight=False, markup=False, emoji=False, width=MAX_COLUMNS)
    return screen


@cache
def _plain_console() -> type[Console]:
    """Rich's console, which escapes control characters of every text that it is given."""
    from rich.console import Console

    class PlainConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(on_screen(text), **options)

    return PlainConsole


def say(text: str, *, err: bool = False) -> None:
    """Print text of any width, without what could control a terminal."""
    typer.echo(on_screen(text), err=err)


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
    say(f"vocab: stopped; {kept}: repeat the command to go on", err=True)
    sys.exit(INTERRUPTED)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show progress on standard error, with rate and time left; nothing where that is not a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<22}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[rate]:>12}", markup=False),
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
        stage, _, news = one_line(stage).partition(": ")
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
