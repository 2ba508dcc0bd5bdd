"""JSON lines and Parquet cut into units of about 1 MB, which any thread can turn into documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from vocab.corpus.blocks import BLOCK_BYTES, Block, ColumnBlock, LinesBlock, Position
from vocab.corpus.files import UnpackedFile, read_errors_named
from vocab.corpus.text_documents import check_length
from vocab.errors import CorpusError

# A document of text, which is joined with others to a block; or a function that makes a block of its own, given the
# position after it and its bytes on disk.
Unit = bytes | Callable[[Position, int], Block]


def line_units(stream: UnpackedFile, path: str, column: str, n_done: int) -> Iterator[Unit]:
    """Units of whole lines after the first `n_done` units.

    Args:
        stream: the file.
        path: its name, for errors.
        column: the column that holds the text.
        n_done: units to leave out.
    """
    line = 1
    for number, lines in enumerate(_whole_lines(stream, path)):
        if number >= n_done:
            yield _lines_unit(path, line, lines, column)
        line += lines.count(b"\n")


def _lines_unit(path: str, first_line: int, lines: bytes, column: str) -> Unit:
    return lambda end, n_stored: LinesBlock(end, n_stored, path, first_line, lines, column)


def _whole_lines(stream: UnpackedFile, path: str) -> Iterator[bytes]:
    """About 1 MB at a time, cut after the end of a line."""
    rest: list[bytes] = []
    while data := stream.read(BLOCK_BYTES):
        cut = data.rfind(b"\n") + 1
        if cut == 0:
            rest.append(data)
            check_length(sum(map(len, rest)), f"a line of {path}")
            continue
        yield b"".join([*rest, data[:cut]])
        rest = [data[cut:]]
    if any(rest):
        yield b"".join(rest)


def parquet_units(path: Path, column: str, n_done: int) -> Iterator[tuple[Unit, int]]:
    """Units of rows after the first `n_done` units, each with its share of the bytes on disk.

    Raises:
        CorpusError: the file cannot be read, or has no text in the column.
    """
    import pyarrow.parquet as pq

    with read_errors_named(path), pq.ParquetFile(path) as file:
        _check_column(file.schema_arrow, column, path)
        number = first_row = 0
        for group in range(file.num_row_groups):
            row_group = file.metadata.row_group(group)
            stored = sum(row_group.column(c).total_compressed_size for c in range(row_group.num_columns))
            n_rows = max(1, min(1 << 16, BLOCK_BYTES * row_group.num_rows // max(1, row_group.total_byte_size)))
            for batch in file.iter_batches(n_rows, row_groups=[group], columns=[column], use_threads=False):
                if number >= n_done:
                    share = stored * len(batch) // max(1, row_group.num_rows)
                    yield _column_unit(str(path), first_row, batch.column(0)), share
                number += 1
                first_row += len(batch)


def _check_column(schema: Any, column: str, path: Path) -> None:
    if column not in schema.names:
        columns = ", ".join(schema.names)
        raise CorpusError(f"{path} has no column {column!r} (it has: {columns}); name one with `column`")
    kind = schema.field(column).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise CorpusError(f"{path} has no text in column {column!r}, which holds {kind}; name another with `column`")


def _column_unit(path: str, first_row: int, array: pa.Array) -> Unit:
    return lambda end, n_stored: ColumnBlock(end, n_stored, path, first_row, array)
