"""Files of a corpus as they were when it was listed."""

from __future__ import annotations

import lzma
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from vocab.corpus.file_kinds import Kind, kind_of
from vocab.errors import CorpusError
from vocab.writing import first_line


@dataclass(frozen=True)
class CorpusFile:
    """A file as it was when the corpus was listed: what is read later must be the same."""

    path: Path
    n_bytes: int  # on disk
    mtime_ns: int
    in_folder: bool  # found by looking into a folder or by a pattern, where what is not text is left out, not refused

    @classmethod
    def of(cls, path: Path, *, in_folder: bool = False) -> CorpusFile:
        """Raises CorpusError when the file is gone."""
        with read_errors_named(path):
            status = path.stat()
        return cls(path, status.st_size, status.st_mtime_ns, in_folder)

    @property
    def kind(self) -> Kind:
        """What it holds, by its name."""
        return kind_of(self.path)

    def check_unchanged(self) -> None:
        """Raises CorpusError when the file was written, or went, since it was listed."""
        if CorpusFile.of(self.path, in_folder=self.in_folder) != self:
            raise CorpusError(f"{self.path} changed while it was read: count again when it is finished")


@contextmanager
def read_errors_named(path: Path | str, at: str = "") -> Iterator[None]:
    """Turn what goes wrong while reading a file into one sentence; `at` says where."""
    try:
        yield
    except (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException) as error:
        raise CorpusError(f"{path} cannot be read{at}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return first_line(error)


def is_special(path: str | Path) -> bool:
    """Whether a path leads to a pipe, socket or device. Raises OSError when it leads nowhere."""
    mode = os.stat(path).st_mode  # noqa: PTH116 - paths come from os.scandir
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
