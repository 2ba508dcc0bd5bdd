"""JSON lines cut into units of about 1 MB, which any thread can turn into documents; and rows collected to units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from vocab.corpus.blocks import BLOCK_BYTES, Block, LinesBlock, Position, RowsBlock
from vocab.corpus.column_paths import RowText
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.text_documents import check_length

# A document of text, which is joined with others to a block; or a function that makes a block of its own, given the
# position after it and its bytes on disk.
Unit = bytes | Callable[[Position, int], Block]
# Rows of a unit at most.
MAX_ROWS = 1 << 16


def line_units(read: Callable[[int], bytes], path: str, options: ReadOptions, n_done: int) -> Iterator[Unit]:
    """Units of whole lines after the first `n_done` units.

    Args:
        read: returns up to that many more bytes, none at the end.
        path: name of the file, for errors.
        options: how it is read.
        n_done: units to leave out.
    """
    line = 1
    for number, lines in enumerate(_whole_lines(read, path)):
        if number >= n_done:
            yield _lines_unit(path, line, lines, options)
        line += lines.count(b"\n")


def _lines_unit(path: str, first_line: int, lines: bytes, options: ReadOptions) -> Unit:
    return lambda end, n_stored: LinesBlock(end, n_stored, path, first_line, lines, options)


def _whole_lines(read: Callable[[int], bytes], path: str) -> Iterator[bytes]:
    """About 1 MB at a time, cut after the end of a line."""
    rest: list[bytes] = []
    while data := read(BLOCK_BYTES):
        cut = data.rfind(b"\n") + 1
        if cut == 0:
            rest.append(data)
            check_length(sum(map(len, rest)), f"a line of {path}")
            continue
        yield b"".join([*rest, data[:cut]])
        rest = [data[cut:]]
    if any(rest):
        yield b"".join(rest)


def row_units(
    rows: Iterable[tuple[int, RowText]], name: str, options: ReadOptions, n_done: int, most_rows: int | None = None
) -> Iterator[Unit]:
    """Units of about 1 MB of rows after the first `n_done` units.

    Args:
        rows: the number of each row, for errors, and its text.
        name: what is said before that number.
        options: how they are read.
        n_done: units to leave out.
        most_rows: rows of a unit, whatever their bytes.
    """
    numbers: list[int] = []
    texts: list[RowText] = []
    n_characters = number = 0
    for row, text in rows:
        numbers.append(row)
        texts.append(text)
        n_characters += len(text) if isinstance(text, str) else 0
        if len(texts) >= (most_rows or MAX_ROWS) or (n_characters >= BLOCK_BYTES and not most_rows):
            if number >= n_done:
                yield _rows_unit(name, numbers, texts, options, may_have_no_column=number > 0)
            numbers, texts, n_characters, number = [], [], 0, number + 1
    if texts and number >= n_done:
        yield _rows_unit(name, numbers, texts, options, may_have_no_column=True)


def _rows_unit(
    name: str, numbers: list[int], texts: list[RowText], options: ReadOptions, *, may_have_no_column: bool
) -> Unit:
    def where(row: int) -> str:
        return f"{name} {numbers[row]:,}"

    return lambda end, n_stored: RowsBlock(end, n_stored, texts, where, options, may_have_no_column)
