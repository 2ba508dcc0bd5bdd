"""Folders as datatrove takes them, and finished files put there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vocab.errors import TargetError
from vocab.writing import staged_file, write_errors_named

# A path or address (s3://, hf://, …), alone or with what opens its file system, or a DataFolder.
Folder = Any


def data_folder(address: Folder) -> Any:
    """The DataFolder of a path or address."""
    from datatrove.io import get_datafolder

    return get_datafolder(os.fspath(address) if isinstance(address, Path) else address)


def folder_and_name(address: Folder) -> tuple[Any, str]:
    """The DataFolder of a file and its name there; raises TargetError for a folder."""
    path, *options = address if isinstance(address, tuple) else (address,)
    text = os.fspath(path)
    parent, slash, name = text.rpartition("/")
    if not name:
        raise TargetError(f"{text} is a folder: name a file for the sum")
    parent = parent or slash or "."
    return data_folder((parent, *options) if options else parent), name


@contextmanager
def scratch_folder(parent: str | Path | None, prefix: str) -> Iterator[Path]:
    """A local folder that is removed after the block; raises OutputError when it cannot be made."""
    with write_errors_named(Path(parent or tempfile.gettempdir())):
        folder = tempfile.TemporaryDirectory(prefix=prefix, dir=parent)
    with folder as name:
        yield Path(name)


def publish(table: Path, folder: Any, name: str) -> None:
    """Put a finished table into a folder under its name; raises OutputError when a disk refuses it.

    On a disk the name appears by renaming. Object stores and the Hub show a file when its upload is complete.
    """
    if not folder.is_local():
        folder.put_file(str(table), name)
        return
    with staged_file(Path(folder.resolve_paths(name))) as staged:
        shutil.copyfile(table, staged)
