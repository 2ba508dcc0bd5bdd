"""Documents from files, folders, globs, standard input and Hugging Face datasets, as a stream."""

from __future__ import annotations

import glob
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from vocab.errors import CorpusError, MissingExtraError

# A text file of more than this many bytes is several documents, each cut after the end of a line.
TEXT_BLOCK_BYTES = 64 << 10
# A line without end is cut here, so that memory stays bounded.
_MAX_BLOCK_BYTES = 1 << 20

_JSON_LINES = (".jsonl", ".ndjson", ".json")
_NOT_TEXT = "holds NUL bytes, so it is not text: give text, JSON lines, Parquet, or these packed as .gz or .zst"


@dataclass(frozen=True)
class Document:
    """One document: the unit that is held out or not, and that no pre-token crosses."""

    text: str
    n_bytes: int  # bytes read for it, before invalid UTF-8 was replaced
    was_repaired: bool = False  # invalid UTF-8 became U+FFFD


def read_documents(place: str, column: str = "text", skipped: list[Path] | None = None) -> Iterator[Document]:
    """Documents of a file, folder, glob pattern, "-" (standard input) or "hf://dataset[:split]".

    By the name, packing (.gz, .zst) aside: `.jsonl`, `.ndjson` and `.json` hold a JSON object a line with the text in
    `column`; `.parquet` has the text in `column`; anything else is text, cut into documents of about 64 KiB after a
    line end. Folders are read in sorted order, hidden files left out; files in them that are not text are left out
    too and listed in `skipped`. Raises CorpusError naming file and line.
    """
    if place.startswith("hf://"):
        yield from _dataset_documents(place, column)
    elif place == "-":
        yield from _text_documents(sys.stdin.buffer, "standard input")
    else:
        in_folder = Path(place).is_dir()
        for path in corpus_files(place):
            if in_folder and _is_binary(path):
                if skipped is not None:
                    skipped.append(path)
            else:
                yield from _file_documents(path, column)


def corpus_files(place: str) -> list[Path]:
    """The files behind a path or a glob pattern, sorted; raises CorpusError when there are none."""
    path = Path(place)
    if path.is_file():
        return [path]
    if path.is_dir():
        inside = (p for p in path.rglob("*") if p.is_file())
        found = [p for p in inside if not any(x.startswith(".") for x in p.relative_to(path).parts)]
    else:
        found = [Path(p) for p in glob.glob(place, recursive=True) if Path(p).is_file()]  # noqa: PTH207 - absolute ones too
    if not found:
        what = "the folder holds no files" if path.is_dir() else "no such file or folder"
        raise CorpusError(f"corpus {place}: {what}")
    return sorted(found)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _kind(path: Path) -> str:
    """The ending that tells what a file holds, packing aside."""
    suffixes = [s.lower() for s in path.suffixes]
    return "".join(suffixes[-2:-1] if suffixes[-1:] in ([".gz"], [".zst"]) else suffixes[-1:])


def _is_binary(path: Path) -> bool:
    if _kind(path) == ".parquet":
        return False
    with _reading(path), _opened(path) as stream:
        return b"\0" in stream.read(TEXT_BLOCK_BYTES)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading a file into one sentence."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CorpusError(f"{path} cannot be read: {reason}") from None


def _file_documents(path: Path, column: str) -> Iterator[Document]:
    if _kind(path) == ".parquet":
        yield from _parquet_documents(path, column)
        return
    with _reading(path), _opened(path) as stream:
        if _kind(path) in _JSON_LINES:
            yield from _json_documents(stream, path, column)
        else:
            yield from _text_documents(stream, str(path))


def _opened(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked when its name says .gz or .zst."""
    packing = path.suffix.lower()
    if packing == ".gz":
        return cast(IO[bytes], gzip.open(path))
    if packing == ".zst":
        # Arrow's reader, unlike others, says so when the last frame is cut short.
        return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    return path.open("rb")


def _text_documents(stream: IO[bytes], name: str) -> Iterator[Document]:
    block = b""
    while True:
        part = stream.read(TEXT_BLOCK_BYTES)
        if b"\0" in part:
            raise CorpusError(f"{name} {_NOT_TEXT}")
        block += part
        if not part:
            break
        if len(block) < TEXT_BLOCK_BYTES:
            continue
        cut = block.rfind(b"\n") + 1
        if cut == 0 and len(block) >= _MAX_BLOCK_BYTES:
            cut = _character_edge(block)
        if cut:
            yield _document(block[:cut])
            block = block[cut:]
    if block:
        yield _document(block)


def _character_edge(block: bytes) -> int:
    """The last place in the block where no UTF-8 character is cut."""
    cut = len(block) - 1
    while cut > len(block) - 4 and block[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut


def _document(raw: bytes) -> Document:
    try:
        return Document(raw.decode(), len(raw))
    except UnicodeDecodeError:
        return Document(raw.decode(errors="replace"), len(raw), was_repaired=True)


def _json_documents(stream: IO[bytes], path: Path, column: str) -> Iterator[Document]:
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{path} line {number} is not JSON ({error}): one object a line is expected") from None
        yield _row_document(row, column, f"{path} line {number}")


def _row_document(row: Any, column: str, where: str) -> Document:
    value = row.get(column) if isinstance(row, dict) else None
    if not isinstance(value, str):
        held = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
        raise CorpusError(f"{where} has no text in column {column!r} (it has: {held}); name one with --column")
    raw = value.encode(errors="surrogatepass")
    return _document(raw)


def _parquet_documents(path: Path, column: str) -> Iterator[Document]:
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        if column not in file.schema_arrow.names:
            held = ", ".join(file.schema_arrow.names)
            raise CorpusError(f"{path} has no column {column!r} (it has: {held}); name one with --column")
        for batch in file.iter_batches(batch_size=256, columns=[column]):
            for value in batch.column(0).to_pylist():
                yield _row_document({column: value}, column, str(path))
    except (pa.ArrowException, OSError) as error:
        raise CorpusError(f"{path} is not a readable Parquet file: {_first_line(error)}") from None


def _dataset_documents(place: str, column: str) -> Iterator[Document]:
    try:
        import datasets
    except ImportError:
        raise MissingExtraError(f"reading {place}", "datasets", "datasets") from None
    name, _, split = place.removeprefix("hf://").partition(":")
    try:
        rows = datasets.load_dataset(name, split=split or "train", streaming=True)
        for number, row in enumerate(rows):
            yield _row_document(row, column, f"{place} row {number}")
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise CorpusError(f"{place} cannot be read: {_first_line(error)}") from None
