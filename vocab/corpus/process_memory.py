"""Memory of this process."""

from __future__ import annotations

import ctypes
import re
import sys
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from vocab.errors import TargetError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def parse_bytes(text: str) -> int:
    """Bytes from "4GB", "512MiB" or "1000000"; raises TargetError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]I?)?B?\s*", text.upper())
    if not match:
        raise TargetError(f"{text!r} is not an amount of memory: write it like 4GB, 512MiB or 1000000")
    return int(float(match[1]) * _UNITS[match[2] or ""])


def resident_bytes() -> int:
    """Memory of the process in bytes, or the usual 300 MiB where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 300 << 20
    return pages * 4096 if sys.platform.startswith("linux") else 300 << 20


def give_back_unused() -> None:
    """Return freed memory to the system, which the allocators would keep for later."""
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)


def peak_resident_bytes() -> int:
    """The most memory of the process so far in bytes, 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
