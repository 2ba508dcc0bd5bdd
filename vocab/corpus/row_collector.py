"""Rows of one block collected to a batch: texts are kept, rows without text counted, bad rows refused or counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vocab.choices import EncodingErrors
from vocab.corpus.batch import Batch
from vocab.corpus.column_paths import BadRow, NoText, RowText, utf8_of
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.skipped import MAX_NAMED, FirstRowWithoutText
from vocab.errors import CorpusError


class RowCollector:
    """Collects the rows of a block."""

    def __init__(self, options: ReadOptions, position: tuple[int, int], where: Callable[[int], str]) -> None:
        """`where(k)` names row k of the block, for errors."""
        self._options = options
        self._position = position
        self._where = where
        self._texts: list[bytes] = []
        self._rows: list[int] = []
        self._bad: list[str] = []  # of the first
        self._n_bad = 0
        self._n_without_text = 0
        self._first: FirstRowWithoutText | None = None
        self._has_column = False

    def add(self, row: int, text: RowText) -> None:
        """Add a row; raises CorpusError for a bad one unless these are skipped."""
        if isinstance(text, str):
            self._texts.append(utf8_of(text))
            self._rows.append(row)
        elif isinstance(text, NoText):
            self._n_without_text += 1
            self._has_column |= text.has_column
            if self._first is None:
                self._first = FirstRowWithoutText(self._position, self._where(row), text.held)
        else:
            self._add_bad(row, text)

    def _add_bad(self, row: int, bad: BadRow) -> None:
        if self._options.on_error == "stop":
            raise CorpusError(f"{self._where(row)} {bad.problem}: {bad.hint}")
        self._n_bad += 1
        if len(self._bad) < MAX_NAMED:
            self._bad.append(f"{self._where(row)} {bad.problem}")

    def batch(self, errors: EncodingErrors, *, may_have_no_column: bool) -> Batch:
        """The batch of the texts; what was left out is added to the options' `skipped`.

        Args:
            errors: what becomes of invalid UTF-8.
            may_have_no_column: whether it is no error that not one row has the column.

        Raises:
            CorpusError: no row has the column, or a text is not UTF-8 and that is refused.
        """
        stops = self._options.on_error == "stop" and not may_have_no_column
        if stops and self._first and not (self._texts or self._has_column or self._n_bad):
            raise CorpusError(self._no_column(self._first))
        self._options.skipped.add_rows(self._position, self._n_without_text, self._first, self._n_bad, self._bad)
        batch = Batch.of_bytes(self._texts, errors, lambda d: self._where(self._rows[d]))
        return replace(batch, n_without_text=self._n_without_text, n_rows_skipped=self._n_bad)

    def _no_column(self, first: FirstRowWithoutText) -> str:
        column = self._options.column
        return (
            f"{first.where} has no column {column!r} (it has: {first.held}), nor has any of the "
            f"{self._n_without_text:,} rows from there; name one with `column`"
        )
