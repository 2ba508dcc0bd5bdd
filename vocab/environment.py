"""What a result was made on: versions and machine, for reports."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("vocabkit", "numpy", "numba", "tiktoken", "tokenizers", "regex", "pyarrow")


def versions(*more: str) -> Mapping[str, str]:
    """Versions of Python and of the packages that a result rests on, and of `more` packages, where installed."""
    installed = {"python": platform.python_version()}
    for name in (*_PACKAGES, *more):
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def processor() -> str:
    """The processor's name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def missing_package(module: str, install: str) -> str | None:
    """Return None when `module` can be imported, else a sentence that ends with the command `install`."""
    try:
        is_installed = find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package is missing
        is_installed = False
    return None if is_installed else f"it is not installed: {install}"
