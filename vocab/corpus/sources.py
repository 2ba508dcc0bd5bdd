"""Sources: the files, standard input and data sets that a corpus is listed as before it is read."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from vocab.corpus.arrow_units import arrow_units, parquet_units
from vocab.corpus.binary_content import not_text_by_content
from vocab.corpus.column_paths import text_of_row
from vocab.corpus.csv_rows import csv_rows
from vocab.corpus.file_kinds import JSON_LINES, ending_of, not_text_by_name
from vocab.corpus.files import CorpusFile
from vocab.corpus.json_values import is_json_lines, json_values, looks_like_json_lines
from vocab.corpus.listing import UnreadableFile, list_files
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.row_units import Unit, line_units, row_units
from vocab.corpus.text_documents import text_documents
from vocab.corpus.unpacking import PipedText, TextStream, UnpackedFile
from vocab.errors import CorpusError, MissingExtraError
from vocab.writing import first_line

_READ = "give text, JSON, CSV, Parquet or Arrow"
# Rows of a data set that are taken at a time.
_DATASET_ROWS = 256


class LeftOutError(Exception):
    """A file that was found, not named, is not text: it is left out, and the error says why."""


class TextSource(Protocol):
    """One file, standard input or data set."""

    @property
    def name(self) -> str: ...

    @property
    def is_file(self) -> bool:
        """Whether it is one file of perhaps many, which may be skipped when it cannot be read."""
        ...

    @property
    def n_stored_bytes(self) -> int:
        """Bytes on disk, 0 where they are not known."""
        ...

    @property
    def fingerprint(self) -> tuple[str, int, int]:
        """Name, size and modification time, by which an interrupted count recognises its files."""
        ...

    def units(self, options: ReadOptions, n_done: int) -> Iterator[tuple[Unit, int]]:
        """Units after the first `n_done`, each with its bytes on disk.

        Raises:
            CorpusError: it cannot be read.
            LeftOutError: it is left out.
        """
        ...


def list_sources(name: str, options: ReadOptions | None = None) -> list[TextSource]:
    """The sources of a corpus: "-" is standard input, "hf://…" a data set, anything else a path or glob pattern.

    Args:
        name: of the corpus.
        options: what is left out is added to their `skipped`.

    Raises:
        CorpusError: there are none.
    """
    if not name.strip():
        raise CorpusError("the name of a corpus is empty: give a file, folder or pattern, or . for the current folder")
    if name.startswith("hf://"):
        if not name.removeprefix("hf://").strip("/").partition(":")[0]:
            raise CorpusError(f"corpus {name} names no data set: write hf://OWNER/NAME or hf://OWNER/NAME:SPLIT")
        return [_Dataset(name)]
    if name == "-":
        return [_StandardInput()]
    listed = list_files(name, (options or ReadOptions()).skipped)
    return [_File(file) if isinstance(file, CorpusFile) else _Unreadable(file) for file in listed]


def list_corpora(names: Sequence[str], options: Mapping[str, ReadOptions] | None = None) -> dict[str, list[TextSource]]:
    """The sources of several corpora by their names; `options` of each by its name.

    Raises:
        CorpusError: none is named, one is named twice, or two reach the same file.
    """
    if not names:
        raise CorpusError("no corpus is named: name at least one")
    check_distinct(names)
    sources = {name: list_sources(name, (options or {}).get(name)) for name in names}
    if len(names) > 1:
        _check_apart(sources)
    return sources


def check_distinct(names: Sequence[str]) -> None:
    """Raise CorpusError when a corpus is named twice."""
    if len(set(names)) < len(names):
        raise CorpusError("a corpus is named twice; its documents would count twice")


def _check_apart(sources: dict[str, list[TextSource]]) -> None:
    reached: dict[str, str] = {}
    for name, listed in sources.items():
        for source in listed:
            if not isinstance(source, _File):
                continue
            other = reached.setdefault(os.path.realpath(source.name), name)
            if other != name:
                raise CorpusError(f"{source.name} is in both {other} and {name}; its documents would count twice")


@dataclass(frozen=True)
class _File:
    file: CorpusFile
    is_file: bool = True

    @property
    def name(self) -> str:
        return str(self.file.path)

    @property
    def n_stored_bytes(self) -> int:
        return self.file.n_bytes

    @property
    def fingerprint(self) -> tuple[str, int, int]:
        return self.name, self.file.n_bytes, self.file.mtime_ns

    def units(self, options: ReadOptions, n_done: int) -> Iterator[tuple[Unit, int]]:
        self.file.check_unchanged()
        self._check_is_text(not_text_by_name(self.file.path))
        if self.file.kind == "parquet":
            yield from parquet_units(self.file.path, options, n_done)
        elif self.file.kind == "arrow":
            yield from arrow_units(self.file.path, options, n_done)
        else:
            with UnpackedFile(self.file.path) as stream:
                self._check_is_text(not_text_by_content(stream.head))
                yield from _with_stored_bytes(self._stream_units(stream, options, n_done), stream)
        self.file.check_unchanged()

    def _check_is_text(self, problem: str | None) -> None:
        if problem and self.file.in_folder:
            raise LeftOutError(problem)
        if problem:
            raise CorpusError(f"{self.name} {problem}" if ": " in problem else f"{self.name} {problem}: {_READ}")

    def _stream_units(self, stream: TextStream, options: ReadOptions, n_done: int) -> Iterator[Unit]:
        name, ending = self.name, ending_of(self.file.path)
        if self.file.kind == "csv":
            rows = csv_rows(stream.read, name, options.column, is_tsv=ending == ".tsv")
            return row_units(rows, f"{name} line", options, n_done)
        if self.file.kind == "text":
            _note_rows(stream, name, options)
            return itertools.islice(text_documents(stream.read, name, options.documents), n_done, None)
        if is_json_lines(stream.head, has_lines_name=ending in JSON_LINES):
            return line_units(stream.read, name, options, n_done)
        values = ((k, text_of_row(value, options.column)) for k, value in json_values(stream.read, name))
        return row_units(values, f"{name} item", options, n_done)


def _note_rows(stream: TextStream, name: str, options: ReadOptions) -> None:
    """Note that what is read as plain text looks like JSON lines, whose keys and escapes are no text."""
    if looks_like_json_lines(stream.head):
        options.skipped.note(f"{name} looks like JSON lines but is read as plain text: put it in a file named .jsonl.")


def _with_stored_bytes(units: Iterable[Unit], stream: UnpackedFile) -> Iterator[tuple[Unit, int]]:
    before = 0
    for unit in units:
        now = stream.n_stored_bytes_read
        yield unit, now - before
        before = now


@dataclass(frozen=True)
class _Unreadable:
    """A name in a folder that cannot be read, which is said when its turn comes."""

    file: UnreadableFile
    is_file: bool = True
    n_stored_bytes: int = 0

    @property
    def name(self) -> str:
        return str(self.file.path)

    @property
    def fingerprint(self) -> tuple[str, int, int]:
        return self.name, 0, 0

    def units(self, options: ReadOptions, n_done: int) -> Iterator[tuple[Unit, int]]:
        raise CorpusError(f"{self.file.problem}: mend it, or set `on_error` to skip")


class _StandardInput:
    name = "standard input"
    is_file = False
    n_stored_bytes = 0
    fingerprint = (name, 0, 0)

    def units(self, options: ReadOptions, n_done: int) -> Iterator[tuple[Unit, int]]:
        if n_done:
            raise CorpusError("standard input cannot be read again from its beginning: start over with `force`")
        if sys.stdin is None:
            raise CorpusError("standard input is closed: give it text, or name files")
        stream = PipedText(sys.stdin.buffer, self.name)
        if problem := not_text_by_content(stream.head):
            raise CorpusError(f"{self.name} {problem}")
        _note_rows(stream, self.name, options)
        for document in text_documents(stream.read, self.name, options.documents):
            yield document, len(document)


@dataclass(frozen=True)
class _Dataset:
    name: str
    is_file: bool = False
    n_stored_bytes: int = 0

    @property
    def fingerprint(self) -> tuple[str, int, int]:
        return self.name, 0, 0

    def units(self, options: ReadOptions, n_done: int) -> Iterator[tuple[Unit, int]]:
        try:
            import datasets
        except ImportError:
            raise MissingExtraError(f"reading {self.name}", "datasets", "datasets") from None
        name, _, split = self.name.removeprefix("hf://").partition(":")
        n_rows = n_done * _DATASET_ROWS
        try:
            rows = datasets.load_dataset(name, split=split or "train", streaming=True)
            numbered = enumerate(rows.skip(n_rows) if n_rows else rows, n_rows)
            texts = ((k, text_of_row(row, options.column)) for k, row in numbered)
            for unit in row_units(texts, f"{self.name} row", options, 0, _DATASET_ROWS):
                yield unit, 0
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise CorpusError(f"{self.name} cannot be read: {first_line(error)}") from None
