"""The cache of a kernel on disk, which several processes fill together.

A process that misses a kernel takes that kernel's lock, looks again, and compiles it. Others that miss it wait, and
read what the first has kept. So no kernel is compiled twice, and one process can compile for another (see `ahead`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from numba.core import caching
from numba.core.runtime.nrt import rtsys

# Numba has no types for these.
_FunctionCache: Any = caching.FunctionCache
_runtime: Any = rtsys


class KernelCache(_FunctionCache):  # type: ignore[misc]
    """Numba's cache of a function, which reads a kept kernel without importing what only compiling needs.

    Numba first refreshes its context: that imports its whole library, and SciPy with it, which takes longer than to
    read all kernels of a command. It does so when it compiles anyway. What a kept kernel calls is the runtime, where it
    allocates arrays.
    """

    needs_runtime = True
    _turn: int | None = None

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kept kernel for a signature; None where it is this process's turn to compile it."""
        if self.needs_runtime:
            _runtime.initialize(target_context)
        kept = self._read(sig, target_context)
        if kept is not None:
            return kept
        self._take_turn()
        kept = self._read(sig, target_context)
        if kept is not None:
            self._end_turn()
        return kept

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel, for this process and for those that wait for it."""
        try:
            super().save_overload(sig, data)
        finally:
            self._end_turn()

    def _read(self, sig: Any, target_context: Any) -> Any:
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)

    def _take_turn(self) -> None:
        """Wait until no other process compiles this kernel. A lock ends with the process that holds it."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        path = Path(self.cache_path) / f"{self._impl.filename_base}.lock"
        try:
            self._turn = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            fcntl.flock(self._turn, fcntl.LOCK_EX)
        except OSError:  # a folder without locks: two processes may compile the same kernel, which does no harm
            self._end_turn()

    def _end_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            os.close(turn)
