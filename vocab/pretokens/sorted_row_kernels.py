"""Kernels over sorted rows: pre-tokens in byte order (blob uint8, starts int64[n + 1]) with uint64 values each."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, kernel


@helper
def _order(blob, first, stop, other, other_first, other_stop):
    """Below 0, 0 or above 0 as blob[first:stop] comes before, equals or comes after other[other_first:other_stop]."""
    for i in range(min(stop - first, other_stop - other_first)):
        difference = np.int64(blob[first + i]) - np.int64(other[other_first + i])
        if difference != 0:
            return difference
    return (stop - first) - (other_stop - other_first)


@kernel
def first_not_rising(blob, starts):
    """The first row whose pre-token is not after that of the row before it, -1 when all are; bytes are compared."""
    for k in range(1, starts.size - 1):
        if _order(blob, starts[k - 1], starts[k], blob, starts[k], starts[k + 1]) >= 0:
            return k
    return -1


@kernel
def merge_rows(blob, starts, values, other_blob, other_starts, other_values, out_blob, out_starts, out_values):
    """Write the rows of two tables in order, the values (uint64[n, k]) of equal pre-tokens added; returns how many."""
    i = j = n = to = 0
    n_rows, n_other = starts.size - 1, other_starts.size - 1
    while i < n_rows or j < n_other:
        order = -1
        if i == n_rows:
            order = 1
        elif j < n_other:
            order = _order(blob, starts[i], starts[i + 1], other_blob, other_starts[j], other_starts[j + 1])
        out_starts[n] = to
        if order <= 0:
            for p in range(starts[i], starts[i + 1]):
                out_blob[to] = blob[p]
                to += 1
        else:
            for p in range(other_starts[j], other_starts[j + 1]):
                out_blob[to] = other_blob[p]
                to += 1
        for c in range(values.shape[1]):
            value = values[i, c] if order <= 0 else other_values[j, c]
            out_values[n, c] = value + other_values[j, c] if order == 0 else value
        i += order <= 0
        j += order >= 0
        n += 1
    out_starts[n] = to
    return n
