"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from vocab.corpus.files import first_line
from vocab.errors import OutputError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what goes wrong while writing a file into one sentence."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise OutputError(f"{path} cannot be written: {reason}") from None


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the name `path` when the block ends without an error; else it is removed."""
    staged = path.with_name(f".{path.name}-unfinished")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        yield staged
        with writing(path):
            _sync(staged)
            staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a small file in one step."""
    with staged_file(path) as staged, writing(path):
        staged.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    """Have the bytes on the disk before the name is: a crash leaves the old file or the new one."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
