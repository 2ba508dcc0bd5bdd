"""Sources: the files, standard input and data sets that a corpus is listed as before it is read."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from vocab.corpus.blocks import text_of_row
from vocab.corpus.files import CorpusFile, UnpackedFile, corpus_files
from vocab.corpus.read_options import ReadOptions
from vocab.corpus.row_units import Unit, line_units, parquet_units
from vocab.corpus.text_documents import text_documents
from vocab.errors import CorpusError, MissingExtraError
from vocab.writing import first_line


class TextSource(Protocol):
    """One file, standard input or data set."""

    @property
    def name(self) -> str: ...

    @property
    def n_stored_bytes(self) -> int:
        """Bytes on disk, 0 where they are not known."""
        ...

    @property
    def fingerprint(self) -> tuple[str, int, int]:
        """Name, size and modification time, by which an interrupted count recognises its files."""
        ...

    def units(self, options: ReadOptions, n_done: int) -> Iterator[tuple[Unit, int]]:
        """Units after the first `n_done`, each with its bytes on disk."""
        ...


def list_sources(name: str) -> list[TextSource]:
    """The sources of a corpus: "-" is standard input, "hf://…" a data set, anything else a path or glob pattern.

    Raises:
        CorpusError: there are none.
    """
    if name.startswith("hf://"):
        return [_Dataset(name)]
    if name == "-":
        return [_StandardInput()]
    return [_File(file) for file in corpus_files(name)]


@dataclass(frozen=True)
class _File:
    file: CorpusFile

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
        if self.file.in_folder and self.file.is_binary():
            options.skipped.append(self.file.path)
            return
        if self.file.kind == "parquet":
            yield from parquet_units(self.file.path, options.column, n_done)
        else:
            with UnpackedFile(self.file.path) as stream:
                yield from self._stream_units(stream, options, n_done)
        self.file.check_unchanged()

    def _stream_units(self, stream: UnpackedFile, options: ReadOptions, n_done: int) -> Iterator[tuple[Unit, int]]:
        units: Iterator[Unit]
        if self.file.kind == "json lines":
            units = line_units(stream, self.name, options.column, n_done)
        else:
            units = itertools.islice(text_documents(stream.read, self.name, options.documents), n_done, None)
        before = 0
        for unit in units:
            now = stream.n_stored_bytes_read
            yield unit, now - before
            before = now


class _StandardInput:
    name = "standard input"
    n_stored_bytes = 0
    fingerprint = (name, 0, 0)

    def units(self, options: ReadOptions, n_done: int) -> Iterator[tuple[Unit, int]]:
        if n_done:
            raise CorpusError("standard input cannot be read again from its beginning: start over with `force`")
        stream: IO[bytes] = sys.stdin.buffer
        for document in text_documents(stream.read, self.name, options.documents):
            yield document, len(document)


@dataclass(frozen=True)
class _Dataset:
    name: str
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
        try:
            rows = datasets.load_dataset(name, split=split or "train", streaming=True)
            for number, row in enumerate(rows.skip(n_done) if n_done else rows, n_done):
                yield text_of_row(row, options.column, f"{self.name} row {number:,}"), 0
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise CorpusError(f"{self.name} cannot be read: {first_line(error)}") from None
