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


def cache_folder(source: str) -> str:
    """The folder for the compiled kernels of the file `source`.

    It is in the first of these folders that can be written, in Numba's own order: NUMBA_CACHE_DIR, the `__pycache__`
    next to the file, the user's cache. If none can, it is a temporary folder, and one line on standard error says so.
    """
    return _folder_of(Path(source).parent)


@cache
def _folder_of(directory: Path) -> str:
    digest = _digest(directory)
    bases = _bases(directory)
    for base in bases:
        folder = base / f"kernels-{digest}"
        if _can_be_written(folder):
            return str(folder)
    return str(_temporary_folder(bases) / f"kernels-{digest}")


def _digest(directory: Path) -> str:
    """Digest of all kernel files of a folder; those of Numba itself Numba checks."""
    total = hashlib.sha256()
    for path in sorted([*directory.glob("*_kernels.py"), *Path(__file__).parent.glob("*.py")]):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:_N_DIGITS]


def _bases(directory: Path) -> list[Path]:
    from numba.misc import appdirs

    chosen = os.environ.get("NUMBA_CACHE_DIR")
    of_user: Any = appdirs.AppDirs
    users = Path(of_user(appname="numba", appauthor=False).user_cache_dir)
    return [*([Path(chosen)] if chosen else []), directory / "__pycache__", users]


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _temporary_folder(tried: list[Path]) -> Path:
    """A private folder, removed at the end, that is NUMBA_CACHE_DIR from now on: here and in processes started here."""
    folder = tempfile.mkdtemp(prefix="vocab-kernels-")
    creator = os.getpid()
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == creator else None)
    os.environ["NUMBA_CACHE_DIR"] = folder
    sys.stderr.write(
        f"vocab: compiled kernels cannot be kept in {' or '.join(map(str, tried))}, so each run compiles them anew, "
        "into a temporary folder; set NUMBA_CACHE_DIR to a folder that can be written\n"
    )
    return Path(folder)
