"""Blocks: a few megabytes of a corpus as they were read, which any thread can turn into documents."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.json as pj

from vocab.choices import EncodingErrors
from vocab.corpus.batch import Batch, decoded
from vocab.errors import CorpusError

# The work of one thread at a time.
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, order=True)
class Position:
    """Where reading goes on: after `n_units` (blocks or documents) of source number `source`."""

    source: int = 0
    n_units: int = 0


@dataclass(frozen=True)
class Block(ABC):
    """Some documents not yet taken apart.

    `end` is the position after it; `n_stored_bytes` how many bytes of the files on disk it took.
    """

    end: Position
    n_stored_bytes: int

    @abstractmethod
    def batch(self, errors: EncodingErrors) -> Batch:
        """Its documents; raises CorpusError that names the file and the line."""


@dataclass(frozen=True)
class TextBlock(Block):
    """Documents of plain text, perhaps of several files."""

    documents: list[bytes]
    names: list[str]  # of each document, for errors
    is_utf8: bool = False  # known, so that it need not be checked

    def batch(self, errors: EncodingErrors) -> Batch:
        if self.is_utf8:
            return Batch.of_utf8(self.documents)
        return Batch.of_bytes(self.documents, errors, self.names.__getitem__)


@dataclass(frozen=True)
class ColumnBlock(Block):
    """A slice of the text column of a Parquet file."""

    path: str
    first_row: int
    array: pa.Array

    def batch(self, errors: EncodingErrors) -> Batch:
        if self.array.null_count:
            row = self.first_row + self.array.is_null().to_pylist().index(True)
            raise CorpusError(f"{self.path} row {row:,} has no text: leave such rows out")
        return Batch.of_arrow(self.array, errors, lambda d: f"{self.path} row {self.first_row + d:,}")


@dataclass(frozen=True)
class LinesBlock(Block):
    """Whole lines of a JSON lines file."""

    path: str
    first_line: int
    lines: bytes
    column: str

    def batch(self, errors: EncodingErrors) -> Batch:
        array = _column_of_lines(self.lines, self.column)
        if array is None:
            return self._line_by_line(errors)
        return Batch.of_arrow(array, errors, lambda d: self._where(d))

    def _where(self, k: int) -> str:
        return f"{self.path} line {self.first_line + k:,}"

    def _line_by_line(self, errors: EncodingErrors) -> Batch:
        """The same, slowly: for blank lines, lone surrogates, invalid UTF-8, and to say which line is wrong."""
        kept: list[bytes] = []
        n_bytes = n_repaired = n_skipped = 0
        for k, raw in enumerate(self.lines.split(b"\n")):
            if not raw.strip():
                continue
            where = self._where(k)
            line = decoded(raw, errors, lambda where=where: where)  # type: ignore[misc]
            text = None if line is None else _text_of_line(line, self.column, where)
            document = None if text is None else decoded(text, errors, lambda where=where: where)  # type: ignore[misc]
            n_bytes += len(raw if text is None else text)
            if document is None:
                n_skipped += 1
                continue
            n_repaired += line is not raw or document is not text
            kept.append(document)
        batch = Batch.of_bytes(kept, errors, lambda d: self.path)
        return Batch(batch.text, batch.starts, n_bytes, n_repaired, n_skipped)


def _column_of_lines(lines: bytes, column: str) -> pa.Array | None:
    """The column's strings, one of each line, by Arrow's parser; None when that is not what it finds."""
    try:
        table = pj.read_json(
            pa.BufferReader(lines),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=pa.schema([(column, pa.string())]), unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowException:
        return None
    array = table.column(0).combine_chunks()
    n_lines = lines.count(b"\n") + (not lines.endswith(b"\n"))
    return array if array.null_count == 0 and len(array) == n_lines else None


def _text_of_line(line: bytes, column: str, where: str) -> bytes:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where} is not JSON ({error}): one object a line is expected") from None
    return text_of_row(row, column, where)


def text_of_row(row: Any, column: str, where: str) -> bytes:
    """The text in a column of a row, in UTF-8 but for lone surrogates; raises CorpusError when it holds none."""
    value = row.get(column) if isinstance(row, dict) else None
    if not isinstance(value, str):
        held = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
        raise CorpusError(f"{where} has no text in column {column!r} (it has: {held}); name one with `column`")
    return value.encode(errors="surrogatepass")
