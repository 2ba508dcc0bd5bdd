"""Memory that training frees and asks for again at every step."""

from __future__ import annotations

import ctypes
import sys

# Parameters of glibc's mallopt(3): blocks taken by mmap at most, and free bytes at the heap's end before it shrinks.
_M_MMAP_MAX, _M_TRIM_THRESHOLD = -4, -1
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Have malloc keep freed memory instead of returning it to the system.

    Otherwise logits and gradients above 32 MiB go back to the system at every step, and each of their pages is
    fetched and zeroed anew. That takes a tenth to a quarter of a small model's step on a CPU, more with more ids. The
    setting holds for the whole process, whose memory then stays at its peak.

    Returns:
        Whether it worked: only glibc can be told so.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
