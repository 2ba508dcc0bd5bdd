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


# Turns of waiting awake: a fifth of a millisecond, and seconds. Cores are busy above this load for each of them, which
# is more than what this program did itself before.
_SHORT, _LONG = "10000", "100000000"
_BUSY = 1.25


def n_cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def sleep_when_waiting() -> None:
    """Let torch's threads on a CPU sleep sooner while they wait for one another, where other programs hold the cores.

    There they otherwise keep the processor from those that they wait for; on free cores waiting awake is faster. Takes
    effect when called before torch is imported, and leaves a GOMP_SPINCOUNT of the user's as it is.
    """
    is_busy = os.getloadavg()[0] > _BUSY * n_cores() if hasattr(os, "getloadavg") else True
    os.environ.setdefault("GOMP_SPINCOUNT", _SHORT if is_busy else _LONG)


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
