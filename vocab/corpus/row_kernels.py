"""Kernels over the rows of count tables."""

from __future__ import annotations

from numba import njit


@njit(nogil=True, cache=True)
def first_not_rising(blob, starts):
    """The first row whose pre-token is not after that of the row before it, -1 when all are; bytes are compared."""
    for k in range(1, starts.size - 1):
        first, middle, last = starts[k - 1], starts[k], starts[k + 1]
        n = min(middle - first, last - middle)
        i = 0
        while i < n and blob[first + i] == blob[middle + i]:
            i += 1
        if i < n:
            if blob[first + i] > blob[middle + i]:
                return k
        elif middle - first >= last - middle:
            return k
    return -1
