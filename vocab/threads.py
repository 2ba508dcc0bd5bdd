"""Work on runs of pre-tokens, a thread for each; Numba kernels release the interpreter lock."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")


# Values of GOMP_SPINCOUNT: a waiting thread spins for about 0.2 ms, or for several seconds.
_SHORT_SPIN, _LONG_SPIN = "10000", "100000000"
# A load average above this for each core counts as busy. This program alone stays below it.
_BUSY_LOAD = 1.25


def n_cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def sleep_when_waiting() -> None:
    """Let torch's waiting threads sleep soon where other programs use the cores.

    A thread that spins keeps a busy core from the threads that it waits for. On free cores spinning is faster. Call
    this before torch is imported. A GOMP_SPINCOUNT that the user has set stays.
    """
    is_busy = os.getloadavg()[0] > _BUSY_LOAD * n_cores() if hasattr(os, "getloadavg") else True
    os.environ.setdefault("GOMP_SPINCOUNT", _SHORT_SPIN if is_busy else _LONG_SPIN)


def shard_bounds(starts: npt.NDArray[np.int64], n_shards: int) -> list[tuple[int, int]]:
    """Cut pre-tokens into runs of about equal bytes, [(first, last)]."""
    n_bytes = int(starts[-1])
    cuts = np.searchsorted(starts, [n_bytes * k // n_shards for k in range(1, n_shards)])
    edges = [0, *cuts.tolist(), starts.size - 1]
    return [(a, b) for a, b in itertools.pairwise(edges) if a < b]


def run_shards(work: Callable[[int, int], T], shards: Sequence[tuple[int, int]]) -> list[T]:
    """Run `work(first, last)` for each shard on a thread of its own; results in shard order."""
    if len(shards) <= 1:
        return [work(a, b) for a, b in shards]
    with ThreadPoolExecutor(len(shards)) as pool:
        return list(pool.map(work, *zip(*shards, strict=True)))
