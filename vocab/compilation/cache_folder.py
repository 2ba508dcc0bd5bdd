"""Folders for compiled kernels, named by the code that they were compiled from.

Numba keeps a compiled kernel until the file of that kernel changes. Our kernels also call kernels of other files of
their folder, so the name of a cache folder holds a digest of all kernel files of that folder.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

_N_DIGITS = 16
_said: list[str] = []


def cache_folder(source: str) -> str | None:
    """The folder for the compiled kernels of the file `source`; None where not even a temporary one can be made.

    It is in the first of these folders that can be written, in Numba's own order: NUMBA_CACHE_DIR, the `__pycache__`
    next to the file, the user's cache. If none can, it is a temporary folder or none, and one line on standard error
    says so.
    """
    return _folder_of(Path(source).parent)


@cache
def _folder_of(directory: Path) -> str | None:
    digest = _digest(directory)
    bases = _bases(directory)
    for base in bases:
        folder = base / f"kernels-{digest}"
        if _can_be_written(folder):
            return str(folder)
    temporary = _temporary_folder(bases)
    return str(temporary / f"kernels-{digest}") if temporary else None


def _digest(directory: Path) -> str:
    """Digest of all kernel files of a folder; those of Numba itself Numba checks."""
    total = hashlib.sha256()
    for path in sorted([*directory.glob("*_kernels.py"), *Path(__file__).parent.glob("*.py")]):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:_N_DIGITS]


def _bases(directory: Path) -> tuple[Path, ...]:
    from numba.misc import appdirs

    chosen = os.environ.get("NUMBA_CACHE_DIR")
    of_user: Any = appdirs.AppDirs
    users = Path(of_user(appname="numba", appauthor=False).user_cache_dir)
    return (*([Path(chosen)] if chosen else []), directory / "__pycache__", users)


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _temporary_folder(tried: tuple[Path, ...]) -> Path | None:
    """A private folder, removed at the end, that is NUMBA_CACHE_DIR from now on: here and in processes started here."""
    try:
        folder = tempfile.mkdtemp(prefix="vocab-kernels-")
    except OSError:  # a disk that can only be read
        _say(tried, "for this run alone")
        return None
    creator = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == creator else None)
    os.environ["NUMBA_CACHE_DIR"] = folder
    _say(tried, "into a temporary folder")
    return Path(folder)


def _say(tried: tuple[Path, ...], where: str) -> None:
    """Say it once: other folders of kernels were tried in places like these."""
    if _said:
        return
    _said.append(where)
    sys.stderr.write(
        f"vocab: compiled kernels cannot be kept in {' or '.join(map(str, tried))}, so each run compiles them anew, "
        f"{where}; set NUMBA_CACHE_DIR to a folder that can be written\n"
    )
