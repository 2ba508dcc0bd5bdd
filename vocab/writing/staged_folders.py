"""Folders that appear whole or not at all, in place of nothing but an earlier result."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vocab.errors import OutputError
from vocab.writing.result_mark import ResultKind, foreign_files, is_empty, write_mark
from vocab.writing.staging import check_owner, check_parent, followed, new_parents, place, staging_folder
from vocab.writing.write_errors import write_errors_named


def check_target(directory: Path, *, force: bool, kind: ResultKind = "result") -> None:
    """Check that a folder may be written: it is new, empty, or with `force` holds only an earlier result of this kind.

    Raises:
        OutputError: the folder may not be written.
    """
    if not os.path.lexists(directory):
        check_parent(directory)
        return
    check_folder(directory)
    if is_empty(directory):
        return
    check_foreign(directory, foreign_files(directory, kind=kind))
    if not force:
        raise OutputError(f"{directory} holds an earlier result: name another folder with `directory`, or pass `force`")
    check_owner(directory)


def check_folder(directory: Path) -> None:
    """Raise OutputError when what is there is not a folder or cannot be looked into."""
    if not directory.exists():
        raise OutputError(f"{directory} is a link that leads nowhere: name another folder with `directory`")
    if not directory.is_dir():
        raise OutputError(f"{directory} is a file: name another folder with `directory`")
    if not os.access(directory, os.R_OK | os.X_OK):
        raise OutputError(f"{directory} cannot be written: no permission to look into it")


def check_foreign(directory: Path, foreign: list[str]) -> None:
    """Raise OutputError that names files which are not ours."""
    if foreign:
        raise OutputError(
            f"{directory} holds other files ({', '.join(foreign[:3])}): name another folder with `directory`, or move "
            "them away; vocab replaces only unchanged results of this kind, and none of earlier versions"
        )


@contextmanager
def staged_folder(
    directory: Path, *, force: bool = False, n_bytes: int = 0, kind: ResultKind = "result"
) -> Iterator[Path]:
    """Yield a hidden folder to write into, which becomes `directory` when the block ends without an error.

    Until then an earlier folder is as it was. After an error or Ctrl-C nothing is left behind. The folder gets a mark
    with the digests of its files. A link is followed.

    Args:
        directory: the folder.
        force: whether it may replace an earlier result.
        n_bytes: free bytes that the disk must have.
        kind: what the folder gets, and may have held before.

    Raises:
        OutputError: the folder may not be written, another run is writing it, or the disk refuses or has no room.
    """
    check_target(directory, force=force, kind=kind)
    target = followed(directory)
    _check_can_be_renamed(target)
    with write_errors_named(directory), new_parents(target), staging_folder(target) as hidden:
        check_target(directory, force=force, kind=kind)  # again, now that no other run writes there
        _check_room(target.absolute().parent, n_bytes)
        staged = hidden / target.name
        staged.mkdir()
        yield staged
        write_mark(staged, kind=kind)
        check_target(directory, force=force, kind=kind)
        place(staged, target)


def _check_can_be_renamed(directory: Path) -> None:
    """Raise OutputError for a folder that a new one cannot take the place of."""
    if os.path.ismount(directory):
        raise OutputError(f"{directory} cannot be written: a file system is mounted there, so name a folder in it")
    if directory.exists() and directory.samefile(Path.cwd()):
        raise OutputError(f"{directory} cannot be written: it is the folder you are in, so name a folder in it")


def _check_room(parent: Path, n_bytes: int) -> None:
    free = shutil.disk_usage(parent).free
    if free < n_bytes:
        raise OutputError(f"{parent} has {free / 1e9:.2f} GB free, and the result takes {n_bytes / 1e9:.2f} GB")
