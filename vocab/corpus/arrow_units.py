"""Parquet and Arrow files cut into units of about 1 MB of rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from vocab.corpus.arrow_columns import TextColumn
from vocab.corpus.blocks import BLOCK_BYTES, ColumnBlock
from vocab.corpus.files import read_errors_named
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.row_units import MAX_ROWS, Unit
from vocab.errors import CorpusError

_FILE_MAGIC, _FEATHER_1_MAGIC = b"ARROW1", b"FEA1"


def parquet_units(path: Path, options: ReadOptions, n_done: int) -> Iterator[tuple[Unit, int]]:
    """Units of rows after the first `n_done` units, each with its share of the bytes on disk.

    Raises:
        CorpusError: the file cannot be read, or has no text in the column.
    """
    import pyarrow.parquet as pq

    with read_errors_named(path), pq.ParquetFile(path) as file:
        column = TextColumn.of(file.schema_arrow, options.column, path)
        number = first_row = 0
        for group in range(file.num_row_groups):
            row_group = file.metadata.row_group(group)
            stored = sum(row_group.column(c).total_compressed_size for c in range(row_group.num_columns))
            n_rows = max(1, min(MAX_ROWS, BLOCK_BYTES * row_group.num_rows // max(1, row_group.total_byte_size)))
            for batch in file.iter_batches(n_rows, row_groups=[group], columns=[column.top], use_threads=False):
                if number >= n_done:
                    share = stored * len(batch) // max(1, row_group.num_rows)
                    array = batch.column(batch.schema.get_field_index(column.top))
                    yield _column_unit(str(path), first_row, array, column, options), share
                number += 1
                first_row += len(batch)


def arrow_units(path: Path, options: ReadOptions, n_done: int) -> Iterator[tuple[Unit, int]]:
    """The same for a file of Arrow's IPC format, as a file or as a stream (Feather, saved data sets)."""
    with read_errors_named(path), pa.OSFile(os.fspath(path)) as file:
        schema, batches = _opened(file, path, None)
        column = TextColumn.of(schema, options.column, path)
        file.seek(0)
        _, batches = _opened(file, path, schema.get_field_index(column.top))
        number = first_row = n_stored = 0
        for batch in batches:
            array = _checked(batch.column(0))
            n_rows = max(1, min(MAX_ROWS, BLOCK_BYTES * len(array) // max(1, array.nbytes)))
            for first in range(0, len(array), n_rows):
                if number >= n_done:
                    part = array.slice(first, n_rows)
                    yield _column_unit(str(path), first_row + first, part, column, options), file.tell() - n_stored
                    n_stored = file.tell()
                number += 1
            first_row += len(array)


def _opened(file: pa.NativeFile, path: Path, field: int | None) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The schema of a file, and its record batches with one column only."""
    magic = file.read(len(_FILE_MAGIC))
    file.seek(0)
    if magic.startswith(_FEATHER_1_MAGIC):
        raise CorpusError(f"{path} is a file of Feather version 1: write it again as version 2, or as Parquet")
    options = pa.ipc.IpcReadOptions(included_fields=None if field is None else [field], use_threads=False)
    if magic != _FILE_MAGIC:
        reader = pa.ipc.open_stream(file, options=options)
        return reader.schema, iter(reader)
    reader = pa.ipc.open_file(file, options=options)
    return reader.schema, (reader.get_batch(k) for k in range(reader.num_record_batches))


def _checked(array: pa.Array) -> pa.Array:
    """An array from an untrusted file, whose offsets may lead anywhere; UTF-8 is not looked at in plain columns."""
    kind = array.type
    plain = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}.get(kind)
    (array.view(plain) if plain else array).validate(full=True)
    return array


def _column_unit(path: str, first_row: int, array: pa.Array, column: TextColumn, options: ReadOptions) -> Unit:
    return lambda end, n_stored: ColumnBlock(end, n_stored, path, first_row, array, column, options)
