"""Decorators for kernels: `kernel` for those that Python calls, `helper` and `inlined` for those that kernels call.

Kernels allocate no arrays, but for `allocating_kernel`: their callers pass all of them. So they are compiled without
reference counts of arrays (`_nrt`). Numba does not see that it could leave the counting out, and it took up to nine
tenths of the time.

Only those that Python calls are kept on disk. A kept kernel holds the code of all helpers that it calls. Those have to
be in files of its own folder named `*_kernels.py`, or in this folder (see `cache_folder`).

Helpers are compiled without the wrapper by which Python calls a function: that took a third of the time to compile.
Calling one from Python ends the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numba
from numba.core import event

from vocab.compilation.cache_folder import cache_folder
from vocab.compilation.kernel_cache import KernelCache
from vocab.compilation.notice import note_compiling

# Numba's own types leave out the options for wrappers, the folder of its cache and events.
_njit: Any = numba.njit
_config: Any = numba.config
_register: Any = event.register

_OPTIONS: dict[str, Any] = {"nogil": True, "_nrt": False, "no_cfunc_wrapper": True}
_lock = threading.Lock()


def kernel(function: Callable[..., Any]) -> Any:
    """A kernel that Python calls; compiled once for each machine and version of its folder's kernels."""
    return _kept_on_disk(function, **_OPTIONS)


def allocating_kernel(function: Callable[..., Any]) -> Any:
    """A kernel that Python calls and that allocates arrays of its own."""
    return _kept_on_disk(function, **{**_OPTIONS, "_nrt": True})


def helper(function: Callable[..., Any]) -> Any:
    """A kernel that only kernels call."""
    return _njit(no_cpython_wrapper=True, **_OPTIONS)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """A helper that becomes part of each kernel that calls it: for few lines in an innermost loop."""
    return _njit(no_cpython_wrapper=True, forceinline=True, **_OPTIONS)(function)


def _kept_on_disk(function: Callable[..., Any], **options: Any) -> Any:
    with _lock:  # Numba reads the folder when a function is decorated
        folder = cache_folder(function.__code__.co_filename)
        before, _config.CACHE_DIR = _config.CACHE_DIR, folder or _config.CACHE_DIR
        try:
            dispatcher = _njit(**options)(function)
            if folder is None:
                return dispatcher
            dispatcher._cache = KernelCache(function)  # where `cache=True` puts Numba's own
            dispatcher._cache.needs_runtime = options["_nrt"]
            return dispatcher
        finally:
            _config.CACHE_DIR = before


class _Listener(event.Listener):
    def on_start(self, event: Any) -> None:
        if event.data["dispatcher"].py_func.__module__.startswith("vocab."):
            note_compiling()

    def on_end(self, event: Any) -> None:
        pass


_register("numba:compile", _Listener())
