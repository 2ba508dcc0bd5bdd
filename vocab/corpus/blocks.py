"""Blocks: a few megabytes of a corpus as they were read, which any thread can turn into documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from vocab.choices import EncodingErrors
from vocab.corpus.arrow_columns import TextColumn
from vocab.corpus.batch import Batch
from vocab.corpus.column_paths import RowText
from vocab.corpus.files import read_errors_named
from vocab.corpus.json_lines import text_of_line, texts_of_lines
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.row_collector import RowCollector
from vocab.corpus.skipped import FirstRowWithoutText

# The work of one thread at a time.
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, order=True)
class Position:
    """Where reading goes on: after `n_units` (blocks or documents) of source number `source`."""

    source: int = 0
    n_units: int = 0

    @property
    def key(self) -> tuple[int, int]:
        """By which positions are put in order."""
        return self.source, self.n_units


@dataclass(frozen=True)
class Block:
    """Some documents not yet taken apart.

    `end` is the position after it; `n_stored_bytes` how many bytes of the files on disk it took.
    """

    end: Position
    n_stored_bytes: int

    def batch(self, options: ReadOptions) -> Batch:
        """Its documents; raises CorpusError that names the file and the line.

        What is left out or repaired is added to `options.skipped`, so call it once.
        """
        batch = self._batch(options.encoding_errors)
        if batch.n_skipped or batch.n_repaired:
            options.skipped.add_documents(batch.n_skipped, batch.n_repaired)
        if options.without is not None:
            batch = options.without.without(batch)
            options.skipped.add_of_benchmarks(batch.n_of_benchmarks)
        return batch

    def _batch(self, errors: EncodingErrors) -> Batch:
        raise NotImplementedError

    def _where(self, row: int) -> str:
        """The name of a row, for errors."""
        raise NotImplementedError

    def _texts_batch(self, texts: pa.Array, errors: EncodingErrors, options: ReadOptions, held: str) -> Batch:
        """The batch of one text a row, without those that are null; `held` are the columns that there are."""
        n_without_text = texts.null_count
        if not n_without_text:
            return Batch.of_arrow(texts, errors, self._where)
        has_text = texts.is_valid().to_pylist()
        first = FirstRowWithoutText(self.end.key, self._where(has_text.index(False)), held)
        options.skipped.add_rows(self.end.key, n_without_text, first)
        rows = [row for row, has in enumerate(has_text) if has]
        batch = Batch.of_arrow(texts.drop_null(), errors, lambda d: self._where(rows[d]))
        return replace(batch, n_without_text=n_without_text)


@dataclass(frozen=True)
class TextBlock(Block):
    """Documents of plain text, perhaps of several files."""

    documents: list[bytes]
    names: list[str]  # of each document, for errors
    is_utf8: bool = False  # known, so that it need not be checked

    def _batch(self, errors: EncodingErrors) -> Batch:
        if self.is_utf8:
            return Batch.of_utf8(self.documents)
        return Batch.of_bytes(self.documents, errors, self.names.__getitem__)


@dataclass(frozen=True)
class ColumnBlock(Block):
    """A slice of the text column of a Parquet or Arrow file."""

    path: str
    first_row: int
    array: pa.Array
    column: TextColumn
    options: ReadOptions

    def _batch(self, errors: EncodingErrors) -> Batch:
        with read_errors_named(self.path):
            texts = self.column.texts(self.array)
        return self._texts_batch(texts, errors, self.options, self.column.held)

    def _where(self, row: int) -> str:
        return f"{self.path} row {self.first_row + row:,}"


@dataclass(frozen=True)
class RowsBlock(Block):
    """Rows whose text is known already."""

    texts: Sequence[RowText]
    where: Callable[[int], str]  # names row k of the block
    options: ReadOptions
    may_have_no_column: bool = True

    def _batch(self, errors: EncodingErrors) -> Batch:
        rows = RowCollector(self.options, self.end.key, self.where)
        for k, text in enumerate(self.texts):
            rows.add(k, text)
        return rows.batch(errors, may_have_no_column=self.may_have_no_column)


@dataclass(frozen=True)
class LinesBlock(Block):
    """Whole lines of a JSON lines file."""

    path: str
    first_line: int
    lines: bytes
    options: ReadOptions

    def _batch(self, errors: EncodingErrors) -> Batch:
        column = self.options.column
        texts = texts_of_lines(self.lines, column)
        if texts is None:
            return self._line_by_line(errors)
        return self._texts_batch(texts, errors, self.options, column)

    def _where(self, row: int) -> str:
        return f"{self.path} line {self.first_line + row:,}"

    def _line_by_line(self, errors: EncodingErrors) -> Batch:
        """The same, slowly: for blank lines, missing and nested text, invalid UTF-8, and to say which line is wrong."""
        rows = RowCollector(self.options, self.end.key, self._where)
        for k, raw in enumerate(self.lines.split(b"\n")):
            if line := raw.strip():
                rows.add(k, text_of_line(line.decode(errors="surrogateescape"), self.options.column))
        # A first block that is full and has no such column anywhere: the rest need not be read to say so.
        is_small = self.first_line > 1 or len(self.lines) < BLOCK_BYTES // 2
        return rows.batch(errors, may_have_no_column=is_small)
