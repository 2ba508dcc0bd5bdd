"""Texts of CSV and TSV files, by the names in their first line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from textwrap import shorten
from typing import Any

from vocab.corpus.column_paths import BadRow, NoText, RowText
from vocab.corpus.text_documents import MAX_DOCUMENT_BYTES, check_length
from vocab.errors import CorpusError

_READ_AHEAD_BYTES = 1 << 20


def csv_rows(read: Callable[[int], bytes], name: str, column: str, *, is_tsv: bool) -> Iterator[tuple[int, RowText]]:
    """The line on which each row begins, and its text. An empty field counts as no text.

    Args:
        read: returns up to that many more bytes, none at the end.
        name: of the file, for errors.
        column: a name in the first line.
        is_tsv: whether fields end at tabs. Otherwise they end at commas, or at the semicolons or tabs that part
            `column` from other names in the first line.

    Raises:
        CorpusError: the first line does not name the column.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_DOCUMENT_BYTES))
    raw = io.BufferedReader(_Lines(read, name), _READ_AHEAD_BYTES)
    lines = io.TextIOWrapper(raw, encoding="utf-8", errors="surrogateescape", newline="")
    first = lines.readline()
    if not first.strip():
        return
    delimiter, names = _header(first, column, is_tsv=is_tsv)
    if column not in names:
        held = shorten(", ".join(names), 300, placeholder=" …")
        raise CorpusError(f"{name} has no column {column!r} in its first line (it has: {held}); name one with `column`")
    yield from _rows(csv.reader(lines, delimiter=delimiter, strict=True), names, names.index(column))


def _header(first: str, column: str, *, is_tsv: bool) -> tuple[str, list[str]]:
    found = {delimiter: _names(first, delimiter) for delimiter in ("\t" if is_tsv else ",;\t")}
    usual = next(iter(found))
    delimiter = next((d for d, names in found.items() if column in names), usual)
    return delimiter, found[delimiter]


def _names(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _rows(reader: Any, names: list[str], index: int) -> Iterator[tuple[int, RowText]]:
    while True:
        line = reader.line_num + 2  # the reader has not seen the first line
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, BadRow(f"is not CSV ({error})")
            continue
        if len(fields) == len(names):
            yield line, fields[index] or NoText(has_column=True, held=", ".join(names))
        elif fields:  # not an empty line
            yield line, BadRow(f"has {len(fields):,} fields where the first line names {len(names):,}")


class _Lines(io.RawIOBase):
    """A raw stream whose lines are not too long to be held."""

    def __init__(self, read: Callable[[int], bytes], name: str) -> None:
        self._read = read
        self._name = name
        self._n_since_line_end = 0

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        data = self._read(len(target))
        target[: len(data)] = data
        cut = data.rfind(b"\n") + 1
        self._n_since_line_end = len(data) - cut + (0 if cut else self._n_since_line_end)
        check_length(self._n_since_line_end, f"a line of {self._name}")
        return len(data)
