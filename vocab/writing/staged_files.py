"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vocab.errors import OutputError
from vocab.writing.staging import check_owner, check_parent, followed, new_parents, place, staging_folder
from vocab.writing.write_errors import write_errors_named


def check_file(path: Path, *, force: bool = True, make_folders: bool = False) -> None:
    """Check before long work that a file may be written.

    Args:
        path: the file.
        force: whether it may replace a file.
        make_folders: whether its folder may be missing.

    Raises:
        OutputError: the file may not be written.
    """
    if path.is_dir():
        raise OutputError(f"{path} cannot be written: it is a folder")
    if path.exists() and not force:
        raise OutputError(f"{path} is there already: name another file, or pass `force`")
    if path.exists():
        check_owner(path)
    if not make_folders and not path.absolute().parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.absolute().parent}")
    check_parent(path)


@contextmanager
def staged_file(path: Path) -> Iterator[Path]:
    """Yield a hidden path to write to, which becomes `path` when the block ends without an error.

    Missing folders are made. After an error the hidden file and those folders are gone. What is put beside the hidden
    file is gone after the block.

    Raises:
        OutputError: another run is writing the file, or the disk refuses, here or in the block.
    """
    target = followed(path)
    with write_errors_named(path), new_parents(target), staging_folder(target) as folder:
        staged = folder / target.name
        yield staged
        place(staged, target)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a small file in one step; raises OutputError."""
    with staged_file(path) as staged:
        staged.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Replace a small text file in one step, in UTF-8 with Unix line ends; raises OutputError."""
    with staged_file(path) as staged:
        staged.write_text(text, encoding="utf-8", newline="\n")
