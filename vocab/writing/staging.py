"""The hidden folder in which a file or folder grows, and the moment when that takes its name."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from vocab.errors import OutputError
from vocab.writing.locks import LOCK, lock, release

_UNFINISHED = "-unfinished"
_OLD = ".old"  # what is being replaced, where names cannot be exchanged in one step
_AT_CWD, _EXCHANGE = -100, 2


def hidden_path(target: Path) -> Path:
    """The hidden folder in which `target` grows."""
    return target.with_name(f".{target.name}{_UNFINISHED}")


def is_leftover(path: Path) -> bool:
    """Whether a path is a hidden folder of ours, which a killed run left or another run uses."""
    is_ours = path.name.startswith(".") and path.name.endswith(_UNFINISHED) and path.is_dir()
    return is_ours and not path.is_symlink() and (not any(path.iterdir()) or (path / LOCK).exists())


@contextmanager
def staging_folder(target: Path) -> Iterator[Path]:
    """The hidden folder of `target`, locked and empty but for its lock; it is removed after the block.

    What a killed run left in it is removed. The result that it was replacing gets its name back.

    Raises:
        OutputError: another run is writing `target`, or others have put something in the folder's place.
    """
    folder = hidden_path(target)
    descriptor = _locked(folder, target)
    try:
        if (folder / _OLD).exists() and not os.path.lexists(target):
            (folder / _OLD).rename(target)
        _empty(folder)
        yield folder
    finally:
        _empty(folder)
        release(folder / LOCK, descriptor)
        with suppress(OSError):  # another run is in it already
            folder.rmdir()


def _locked(folder: Path, target: Path) -> int:
    while True:
        if os.path.lexists(folder) and not is_leftover(folder):
            raise OutputError(f"{folder} is in the way, and vocab did not make it: move it elsewhere")
        folder.mkdir(exist_ok=True)
        try:
            return lock(folder / LOCK, target)
        except FileNotFoundError:  # the run before was just removing the folder
            continue
        except OSError:
            with suppress(OSError):
                folder.rmdir()
            raise


def _empty(folder: Path) -> None:
    for path in list(folder.iterdir()):
        if path.name == LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def place(staged: Path, target: Path) -> None:
    """Give what was staged its name, in place of what has it now, and put both on the disk."""
    sync(staged)
    if target.is_dir() and any(target.iterdir()):
        _replace_folder(staged, target)
    else:
        staged.replace(target)
    _sync_one(target.absolute().parent)


def _replace_folder(staged: Path, target: Path) -> None:
    """Exchange two names in one step. Where that cannot be, the next run restores the old one after a kill."""
    if exchange(staged, target):
        return
    old = staged.with_name(_OLD)
    target.rename(old)
    try:
        staged.rename(target)
    except BaseException:
        if not os.path.lexists(target):
            old.rename(target)
        raise


def exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system or the file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None) if os.name == "posix" else None
    if renameat2 is None:
        return False
    return int(renameat2(_AT_CWD, os.fsencode(one), _AT_CWD, os.fsencode(other), _EXCHANGE)) == 0


def sync(path: Path) -> None:
    """Put a file, or all files in a folder, on the disk: a crash leaves the old one or the new one."""
    if path.is_dir():
        for below in path.iterdir():
            sync(below)
    _sync_one(path)


def _sync_one(path: Path) -> None:
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError) if path.is_dir() else nullcontext():  # some file systems cannot do it for folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_parents(path: Path) -> Iterator[None]:
    """Make the folders above `path`, and remove the new ones unless `path` exists in the end."""
    new = [parent for parent in path.absolute().parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        if not path.exists():
            for parent in new:
                with suppress(OSError):
                    parent.rmdir()


def followed(target: Path) -> Path:
    """Where a link leads, and any other path as it is: links stay, and what they lead to is replaced."""
    return target.resolve() if target.is_symlink() or target.name in ("", "..") else target


def check_parent(path: Path) -> None:
    """Raise OutputError when the nearest folder that exists above `path` cannot be written to."""
    parent = next(p for p in path.absolute().parents if os.path.lexists(p))
    if not parent.is_dir():
        raise OutputError(f"{path} cannot be written: {parent} is not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path} cannot be written: no permission to write in {parent}")


def check_owner(path: Path) -> None:
    """Raise OutputError for what another user owns: nobody's result is replaced by somebody else's, root's neither."""
    owner = path.stat().st_uid
    if hasattr(os, "geteuid") and owner != os.geteuid():
        raise OutputError(f"{path} cannot be replaced: it belongs to another user ({owner})")
