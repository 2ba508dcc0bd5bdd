"""Locks: one process at a time writes a file or a folder.

A lock is flock's on a small file, or on the file that is written. It ends with the process that holds it, so a lock
file that a killed process left does no harm. Where a file system has no such locks, and on Windows, two processes at
once are not noticed.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vocab.errors import OutputError
from vocab.writing.write_errors import write_errors_named

LOCK = ".vocab-lock"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
# Folders that this process holds, by real path, with the thread that does and how often.
_held: dict[str, tuple[int, int]] = {}


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold a folder that keeps state; it is made, and removed after the block when it is empty.

    A thread that holds it may hold it again.

    Raises:
        OutputError: another process or thread holds it.
    """
    key, thread = os.path.realpath(folder), threading.get_ident()
    holder, n = _held.get(key, (thread, 0))
    if holder != thread:
        raise _in_use(folder)
    _held[key] = (thread, n + 1)
    try:
        if n:
            yield
        else:
            with _locked(folder):
                yield
    finally:
        _held.pop(key) if n == 0 else _held.update({key: (thread, n)})


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with write_errors_named(folder):
        new = [one for one in (folder, *folder.absolute().parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = lock(folder / LOCK, folder)
    try:
        yield
    finally:
        release(folder / LOCK, descriptor)
        for one in new:
            with suppress(OSError):  # it is not empty
                one.rmdir()


def lock(path: Path, target: Path) -> int:
    """Open and lock the file `path`, which is made; raises OutputError that names `target` when another holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            hold_file(descriptor, target)
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # who held it before has removed it


def hold_file(descriptor: int, target: Path) -> None:
    """Lock an open file until it is closed; raises OutputError that names `target` when another process holds it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _in_use(target) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _in_use(target: Path) -> OutputError:
    return OutputError(f"{target} is being written by another run: wait for it, or name another place")


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file still has this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def release(path: Path, descriptor: int) -> None:
    """Remove a lock file, unless somebody has written into it, and give the lock back."""
    try:
        if os.fstat(descriptor).st_size == 0:
            with suppress(OSError):  # Windows keeps open files
                path.unlink()
    finally:
        os.close(descriptor)
