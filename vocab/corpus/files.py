"""Files behind the name of a corpus, and their unpacked bytes."""

from __future__ import annotations

import glob
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from vocab.errors import CorpusError
from vocab.writing import first_line

_JSON_LINES = (".jsonl", ".ndjson", ".json")
_PROBE_BYTES = 64 << 10


@dataclass(frozen=True)
class CorpusFile:
    """A file as it was when the corpus was listed: what is read later must be the same."""

    path: Path
    n_bytes: int  # on disk
    mtime_ns: int
    in_folder: bool  # found by looking into a folder, where what is not text is left out and not refused

    @classmethod
    def of(cls, path: Path, *, in_folder: bool = False) -> CorpusFile:
        """Raises CorpusError when the file is gone."""
        with read_errors_named(path):
            stat = path.stat()
        return cls(path, stat.st_size, stat.st_mtime_ns, in_folder)

    @property
    def kind(self) -> str:
        """Either "json lines", "parquet" or "text", by the name, packing (.gz, .zst) aside."""
        suffixes = [s.lower() for s in self.path.suffixes]
        suffix = "".join(suffixes[-2:-1] if suffixes[-1:] in ([".gz"], [".zst"]) else suffixes[-1:])
        return "json lines" if suffix in _JSON_LINES else "parquet" if suffix == ".parquet" else "text"

    def check_unchanged(self) -> None:
        """Raises CorpusError when the file was written, or went, since it was listed."""
        if CorpusFile.of(self.path, in_folder=self.in_folder) != self:
            raise CorpusError(f"{self.path} changed while it was read: count again when it is finished")

    def is_binary(self) -> bool:
        """Whether NUL bytes near its beginning say that it is not text."""
        if self.kind == "parquet":
            return False
        with UnpackedFile(self.path) as stream:
            return b"\0" in stream.read(_PROBE_BYTES)


def corpus_files(place: str) -> list[CorpusFile]:
    """The files behind a path or a glob pattern, sorted by path; raises CorpusError when there are none.

    Folders are searched to any depth, hidden files and folders left out.
    """
    path = Path(place)
    if path.is_file():
        return [CorpusFile.of(path)]
    if path.is_dir():
        inside = (p for p in path.rglob("*") if p.is_file())
        paths = [p for p in inside if not any(x.startswith(".") for x in p.relative_to(path).parts)]
    else:
        paths = [Path(p) for p in glob.glob(place, recursive=True) if Path(p).is_file()]  # noqa: PTH207 - absolute ones too
    if not paths:
        what = "the folder holds no files" if path.is_dir() else "no such file or folder"
        raise CorpusError(f"corpus {place}: {what}")
    return [CorpusFile.of(p, in_folder=path.is_dir()) for p in sorted(paths)]


@contextmanager
def read_errors_named(path: Path | str, at: str = "") -> Iterator[None]:
    """Turn what goes wrong while reading a file into one sentence; `at` says where."""
    try:
        yield
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise CorpusError(f"{path} cannot be read{at}: {reason}") from None


class UnpackedFile:
    """A file read from its beginning to its end, unpacked when its name says .gz or .zst."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_bytes_read = 0  # unpacked
        with read_errors_named(path):
            self._raw, self._stream = _opened(path)

    def __enter__(self) -> UnpackedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    @property
    def n_stored_bytes_read(self) -> int:
        """How far into the file on disk reading has come, read-ahead included."""
        return int(self._raw.tell())

    def read(self, n_bytes: int) -> bytes:
        """Up to `n_bytes` more bytes, fewer only at the end; raises CorpusError that says after how many bytes."""
        with read_errors_named(self.path, f" after {self.n_bytes_read:,} bytes of text"):
            data = self._stream.read(n_bytes)
        self.n_bytes_read += len(data)
        return data


def _opened(path: Path) -> tuple[IO[bytes] | pa.NativeFile, IO[bytes]]:
    """The file on disk and the stream of what it holds."""
    packing = path.suffix.lower()
    if packing == ".gz":
        raw = path.open("rb")
        return raw, cast(IO[bytes], gzip.open(raw))
    if packing == ".zst":
        # Arrow's reader, unlike others, says so when the last frame is cut short.
        file = pa.OSFile(os.fspath(path))
        return file, io.BufferedReader(pa.CompressedInputStream(file, "zstd"), _PROBE_BYTES)
    raw = path.open("rb")
    return raw, raw
