"""The one line that a person sees when kernels are compiled: once for each cache of kernels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from vocab.compilation.cache_folder import cache_folder

NOTICE = "compiling kernels: the first run of a command takes longer, later ones reuse them ..."
_notify: Callable[[str], None] | None = None


def when_compiling(notify: Callable[[str], None]) -> None:
    """Call `notify` with one line when the first kernel of this process is really compiled, not read from a file."""
    global _notify
    _notify = notify


def note_compiling() -> None:
    """Give the notice to whoever asked for it, unless a run before has given it for these kernels."""
    global _notify
    notify, _notify = _notify, None
    if notify is not None and _is_first():
        notify(NOTICE)


def _is_first() -> bool:
    """Whether no run has said so before, as an empty file in the cache of kernels shows."""
    folder = cache_folder(__file__)
    if folder is None:
        return True
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*_kernels.py")):
        digest.update(path.read_bytes())
    try:
        (Path(folder) / f"said-{digest.hexdigest()[:16]}").touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:  # it can be read alone
        pass
    return True
