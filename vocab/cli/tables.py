"""`ShownTable`: a table that fits the screen. It never breaks a number, and a name only where a line cannot hold it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vocab.shown_text import on_screen

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.table import Table

_INDENT = 2
_UNBOUNDED = 1_000_000


@dataclass(frozen=True)
class _Row:
    cells: tuple[str, ...]
    style: str | None


class ShownTable:
    """A table whose first columns are text and whose others are numbers.

    Where all numbers and the longest words fit side by side, it is a grid, and headings and texts wrap between words.
    Elsewhere each row is a list of its own: the first cell, and below it a line for each other column.
    """

    def __init__(self, title: str, columns: list[str], n_text: int = 1) -> None:
        """An empty table whose first `n_text` columns are text."""
        self._title, self._columns, self._n_text = title, columns, n_text
        self._rows: list[_Row] = []

    def add_row(self, *cells: str, style: str | None = None) -> None:
        """Add a row, in a style of Rich like "bold"."""
        self._rows.append(_Row(cells, style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        from rich.measure import Measurement

        wide = self._grid(wraps=False)
        needed = Measurement.get(console, options.update(max_width=_UNBOUNDED), wide).maximum
        spared = sum(self._whole_width(k) - self._least_width(k) for k in range(len(self._columns)))
        if needed <= options.max_width:
            yield wide
        elif needed - spared <= options.max_width:
            yield self._grid(wraps=True)
        else:
            yield from self._lists(options.max_width)

    def _grid(self, *, wraps: bool) -> Table:
        """The table side by side. If it `wraps`, texts and headings break between words."""
        from rich import box
        from rich.table import Table

        grid = Table(title=self._title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for k, name in enumerate(self._columns):
            is_text = k < self._n_text
            heading = "\n".join(textwrap.wrap(on_screen(name), self._least_width(k))) if wraps else name
            may_wrap = is_text and wraps
            least = self._least_width(k) if may_wrap else None
            grid.add_column(heading, justify="left" if is_text else "right", no_wrap=not may_wrap, min_width=least)
        for row in self._rows:
            grid.add_row(*row.cells, style=row.style)
        return grid

    def _texts(self, k: int) -> list[str]:
        """Heading and cells of a column."""
        return [self._columns[k], *(row.cells[k] for row in self._rows if k < len(row.cells))]

    def _whole_width(self, k: int) -> int:
        """Columns of the screen that a column takes when nothing in it wraps."""
        return max(map(_width, self._texts(k)))

    def _least_width(self, k: int) -> int:
        """Columns of the screen that a column needs: its longest word, and its widest number whole."""
        heading, *cells = self._texts(k)
        words = [word for text in [heading, *(cells if k < self._n_text else [])] for word in on_screen(text).split()]
        return max(map(_width, [*words, *([] if k < self._n_text else cells)]), default=1)

    def _lists(self, width: int) -> Iterator[Any]:
        from rich.text import Text

        if self._title:
            yield Text(on_screen(self._title), style="italic")
        for row in self._rows:
            yield Text(on_screen(row.cells[0]) or self._columns[0], style=row.style or "", overflow="fold")
            yield from self._fields(row, width)
        yield Text()

    def _fields(self, row: _Row, width: int) -> Iterator[Any]:
        """A line for each cell after the first: the column's name, and the cell at the right where that is a number."""
        from rich.text import Text

        names = [on_screen(name) for name in self._columns[1:]]
        left = max(map(_width, names), default=0) + _INDENT
        right = max((_width(cell) for each in self._rows for cell in each.cells[1:]), default=0)
        for name, cell in zip(names, row.cells[1:], strict=False):
            begun = f"{' ' * _INDENT}{name}".ljust(left)
            shown = on_screen(cell)
            fits = left + 1 + right <= width
            yield Text(f"{begun} {shown.rjust(right) if fits else shown}", overflow="fold")


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(on_screen(text))
