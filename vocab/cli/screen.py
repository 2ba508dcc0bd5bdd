"""What all commands show: a progress bar, tables of at most 100 columns, numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from vocab.cli.progress_lines import chosen_interval, clock, lines_of
from vocab.cli.tables import ShownTable
from vocab.shown_text import on_screen, one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, Task
    from rich.text import Text

    from vocab.analysis.evaluation import Compression
    from vocab.progress import OnProgress

MAX_COLUMNS = 100
# Exit code after Ctrl-C.
INTERRUPTED = 130


@dataclass
class _Shown:
    """What a command shows; one process runs one command."""

    results: bool = True
    progress: bool = True


_SHOWN = _Shown()


def be_loud() -> None:
    """Show everything, as commands do unless they are told otherwise."""
    _SHOWN.results = _SHOWN.progress = True


def be_quiet(*, progress: bool = False) -> None:
    """Show no tables and sentences on standard output and, if so asked, progress still on standard error."""
    _SHOWN.results, _SHOWN.progress = False, progress


def is_shown() -> bool:
    """Whether results are shown on standard output."""
    return _SHOWN.results


def console(*, stderr: bool = False) -> Console:
    """A console no wider than 100 columns, which shows text as it is: no markup, no emoji by name, no control."""
    kind = partial(_plain_console(), highlight=False, markup=False, emoji=False)
    quiet = not (stderr or _SHOWN.results)
    screen = kind(stderr=stderr, quiet=quiet)
    if screen.width > MAX_COLUMNS or not screen.is_terminal:
        return kind(stderr=stderr, quiet=quiet, width=MAX_COLUMNS)
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
    if err or _SHOWN.results:
        typer.echo(on_screen(text), err=err)


def table(title: str, columns: list[str], n_text: int = 1) -> ShownTable:
    """An empty table whose first `n_text` columns are text and whose others are numbers."""
    return ShownTable(title, columns, n_text)


def stopped(kept: str) -> NoReturn:
    """Exit after Ctrl-C with code 130 and one sentence, which says what is kept."""
    say(f"vocab: stopped; {kept}: repeat the command to go on", err=True)
    sys.exit(INTERRUPTED)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show progress on standard error: a bar with rate and time left, or lines now and then where nobody watches."""
    from rich.progress import Progress

    screen = console(stderr=True)
    is_bar = screen.is_terminal and _SHOWN.progress
    with Progress(*_columns(screen.width), console=screen, transient=True, disable=not is_bar) as bar:
        if is_bar or not _SHOWN.progress:
            yield bar
        else:
            with lines_of(bar, lambda line: say(line, err=True), chosen_interval()):
                yield bar


def _columns(width: int) -> list[ProgressColumn]:
    """What a bar shows, in a line of so many columns of the screen: of the rate, what there is room for."""
    from rich.progress import BarColumn, ProgressColumn, TextColumn
    from rich.table import Column
    from rich.text import Text

    class Clock(ProgressColumn):
        """Time so far and time left, each with its name."""

        def render(self, task: Task) -> Text:
            if task.finished:
                return Text(clock(task.finished_time or 0))
            left = f", {clock(task.time_remaining)} left" if task.total and task.time_remaining is not None else ""
            return Text(f"{clock(task.elapsed or 0)}{left}")

    one_line = Column(no_wrap=True)
    return [
        TextColumn("{task.description}", markup=False, table_column=one_line),
        BarColumn(bar_width=30 if width >= MAX_COLUMNS else 12),
        Clock(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[rate]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
    ]


def stages(bar: Progress) -> OnProgress:
    """An `OnProgress` that shows each stage as a bar; text after a colon in its name is shown as its rate."""
    tasks: dict[str, int] = {}

    def on_progress(stage: str, done: int, total: int) -> None:
        stage, _, news = one_line(stage).partition(": ")
        if stage not in tasks:
            for earlier in tasks.values():
                bar.update(earlier, total=1, completed=1)  # type: ignore[arg-type]
            tasks[stage] = bar.add_task(stage, total=None, rate="")
        task = tasks[stage]
        speed = bar.tasks[bar.task_ids.index(task)].speed  # type: ignore[arg-type]
        rate = news or (f"{speed:,.0f}/s" if speed and total > 1 else "")
        bar.update(task, completed=done, total=total if total > 1 or done else None, rate=rate)  # type: ignore[arg-type]

    return on_progress


def ratio_cells(text: Compression, share: float) -> list[str]:
    """Bytes per token and a change in signed per cent; dashes for empty text."""
    return [f"{text.bytes_per_token:.3f}", f"{share:+.2%}"] if text.n_bytes else ["–", "–"]
