"""Readers of text, JSON lines, Parquet and Hugging Face datasets: sources in, blocks out."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa

from vocab.choices import DocumentUnit, EncodingErrors
from vocab.corpus.blocks import Block, ColumnBlock, LinesBlock, Position, TextBlock, text_of_row
from vocab.corpus.files import CorpusFile, UnpackedFile, corpus_files, read_errors_named
from vocab.errors import CorpusError, MissingExtraError
from vocab.writing import first_line

# A document of a text file is this long or a little more and ends after a line, unless asked for otherwise.
TEXT_BLOCK_BYTES = 64 << 10
# A line without end is cut here where documents are blocks of text, so that they stay small.
_MAX_TEXT_BLOCK_BYTES = 1 << 20
# What one thread works on at a time.
BLOCK_BYTES = 1 << 20
# The longest line or file that is held in memory as one document.
MAX_DOCUMENT_BYTES = 1 << 30
_BLANK_LINES = re.compile(rb"\n(?:[ \t\r]*\n)+")
_NOT_TEXT = "holds NUL bytes, so it is not text: give text, JSON lines, Parquet, or these packed as .gz or .zst"


@dataclass(frozen=True)
class ReadOptions:
    """How a corpus is read: the text column, what is a document of plain text, and what invalid UTF-8 becomes."""

    column: str = "text"
    documents: DocumentUnit = "block"
    encoding_errors: EncodingErrors = "replace"
    skipped: list[Path] = field(default_factory=list, compare=False)  # files of folders that are not text


class TextSource(Protocol):
    """One file, standard input or data set: what a corpus is listed as before it is read."""

    @property
    def name(self) -> str: ...

    @property
    def n_stored_bytes(self) -> int:
        """Bytes on disk, 0 where that is not known."""
        ...

    @property
    def fingerprint(self) -> tuple[str, int, int]:
        """Name, size and time of writing, by which an interrupted count knows its files again."""
        ...

    def units(self, options: ReadOptions, n_done: int) -> Iterator[tuple[Unit, int]]:
        """Units after the first `n_done`, each with the bytes on disk that it took."""
        ...


Unit = Callable[[Position, int], Block] | bytes  # how to make a block, or a document to be joined with others


def list_sources(place: str) -> list[TextSource]:
    """What a place is made of: "-" is standard input, "hf://…" a data set, anything else files.

    Raises CorpusError when there are none.
    """
    if place.startswith("hf://"):
        return [_Dataset(place)]
    if place == "-":
        return [_StandardInput()]
    return [_File(file) for file in corpus_files(place)]


def read_blocks(sources: Sequence[TextSource], options: ReadOptions, start: Position | None = None) -> Iterator[Block]:
    """Blocks of all sources in order from a position on; documents of text are joined to blocks of about 1 MB."""
    start = start or Position()
    text = _TextInHand()
    for number in range(start.source, len(sources)):
        n_done = start.n_units if number == start.source else 0
        for k, (unit, n_stored_bytes) in enumerate(sources[number].units(options, n_done), n_done + 1):
            end = Position(number, k)
            if isinstance(unit, bytes):
                text.add(unit, f"{sources[number].name} document {k:,}", end, n_stored_bytes)
                if text.n_bytes < BLOCK_BYTES:
                    continue
            if text.n_bytes:
                yield text.block()
                text = _TextInHand()
            if not isinstance(unit, bytes):
                yield unit(end, n_stored_bytes)
    if text.n_bytes:
        yield text.block()


class _TextInHand:
    """Documents of text on their way into one block."""

    def __init__(self) -> None:
        self.n_bytes = 0
        self._documents: list[bytes] = []
        self._places: list[str] = []
        self._n_stored_bytes = 0
        self._end = Position()

    def add(self, document: bytes, place: str, end: Position, n_stored_bytes: int) -> None:
        self._documents.append(document)
        self._places.append(place)
        self.n_bytes += len(document)
        self._n_stored_bytes += n_stored_bytes
        self._end = end

    def block(self) -> Block:
        return TextBlock(self._end, self._n_stored_bytes, self._documents, self._places)


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
            yield from _parquet_units(self.file.path, options.column, n_done)
        else:
            with UnpackedFile(self.file.path) as stream:
                yield from self._stream_units(stream, options, n_done)
        self.file.check_unchanged()

    def _stream_units(self, stream: UnpackedFile, options: ReadOptions, n_done: int) -> Iterator[tuple[Unit, int]]:
        if self.file.kind == "json lines":
            units = _line_units(stream, self.name, options.column, n_done)
        else:
            units = itertools.islice(_text_documents(stream.read, self.name, options.documents), n_done, None)
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
        for document in itertools.islice(_text_documents(stream.read, self.name, options.documents), n_done, None):
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


def _line_units(stream: UnpackedFile, path: str, column: str, n_done: int) -> Iterator[Unit]:
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
            _check_length(sum(map(len, rest)), f"a line of {path}")
            continue
        yield b"".join([*rest, data[:cut]])
        rest = [data[cut:]]
    if any(rest):
        yield b"".join(rest)


def _check_length(n_bytes: int, what: str) -> None:
    if n_bytes > MAX_DOCUMENT_BYTES:
        raise CorpusError(f"{what} has more than {MAX_DOCUMENT_BYTES:,} bytes: cut it into several documents")


def _text_documents(read: Callable[[int], bytes], name: str, unit: DocumentUnit) -> Iterator[bytes]:
    parts = _parts_without_nul(read, name)
    if unit == "file":
        return _whole_file(parts, name)
    if unit == "blank-line":
        return _blank_line_documents(parts, name)
    return _text_blocks(parts)


def _parts_without_nul(read: Callable[[int], bytes], name: str) -> Iterator[bytes]:
    while part := read(TEXT_BLOCK_BYTES):
        if b"\0" in part:
            raise CorpusError(f"{name} {_NOT_TEXT}")
        yield part


def _text_blocks(parts: Iterator[bytes]) -> Iterator[bytes]:
    block = b""
    for part in parts:
        block += part
        if len(block) < TEXT_BLOCK_BYTES:
            continue
        cut = block.rfind(b"\n") + 1
        if cut == 0 and len(block) >= _MAX_TEXT_BLOCK_BYTES:
            cut = _character_edge(block)
        if cut:
            yield block[:cut]
            block = block[cut:]
    if block:
        yield block


def _character_edge(block: bytes) -> int:
    """The last place in the block where no UTF-8 character is cut."""
    cut = len(block) - 1
    while cut > len(block) - 4 and block[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut


def _whole_file(parts: Iterator[bytes], name: str) -> Iterator[bytes]:
    document = bytearray()
    for part in parts:
        document += part
        if len(document) > MAX_DOCUMENT_BYTES:
            what = f"{name} has more than {MAX_DOCUMENT_BYTES:,} bytes, too many for one document"
            raise CorpusError(f"{what}: leave `documents` at block")
    if document:
        yield bytes(document)


def _blank_line_documents(parts: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Runs of lines with the blank lines after them, so that nothing of the text is lost."""
    rest = b""
    for part in parts:
        rest += part
        first = 0
        for blank in _BLANK_LINES.finditer(rest):
            if blank.end() < len(rest):  # at the very end more blank lines may follow
                yield rest[first : blank.end()]
                first = blank.end()
        rest = rest[first:]
        _check_length(len(rest), f"a document of {name}")
    if rest:
        yield rest


def _parquet_units(path: Path, column: str, n_done: int) -> Iterator[tuple[Unit, int]]:
    import pyarrow.parquet as pq

    with read_errors_named(path), pq.ParquetFile(path) as file:
        _check_column(file.schema_arrow, column, path)
        number = first_row = 0
        for group in range(file.num_row_groups):
            facts = file.metadata.row_group(group)
            stored = sum(facts.column(c).total_compressed_size for c in range(facts.num_columns))
            n_rows = max(1, min(1 << 16, BLOCK_BYTES * facts.num_rows // max(1, facts.total_byte_size)))
            for batch in file.iter_batches(n_rows, row_groups=[group], columns=[column], use_threads=False):
                if number >= n_done:
                    share = stored * len(batch) // max(1, facts.num_rows)
                    yield _column_unit(str(path), first_row, batch.column(0)), share
                number += 1
                first_row += len(batch)


def _check_column(schema: Any, column: str, path: Path) -> None:
    if column not in schema.names:
        held = ", ".join(schema.names)
        raise CorpusError(f"{path} has no column {column!r} (it has: {held}); name one with `column`")
    kind = schema.field(column).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise CorpusError(f"{path} has no text in column {column!r}, which holds {kind}; name another with `column`")


def _column_unit(path: str, first_row: int, array: pa.Array) -> Unit:
    return lambda end, n_stored: ColumnBlock(end, n_stored, path, first_row, array)
