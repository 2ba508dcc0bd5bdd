"""Kernels over sorted rows: pre-tokens in byte order (blob uint8, starts int64[n + 1]) with uint64 values each."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, inlined, kernel
from vocab.compilation.words import load8, store8
from vocab.pretokens.table_sort_kernels import chunk_at, is_before


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


@inlined
def _goes_first(blob, starts, rows, keys, one, other):
    """Whether the next row of table `one` stands before that of table `other`; `keys` are their first eight bytes."""
    a, b = keys[one], keys[other]
    return a < b or (a == b and is_before(blob, starts, rows[one], rows[other], 8))


@helper
def _sift_down(blob, starts, rows, keys, heap, n_heap, at):
    """Move the table at heap[at] down to its place among those below it."""
    table = heap[at]
    while 2 * at + 1 < n_heap:
        child = 2 * at + 1
        if child + 1 < n_heap and _goes_first(blob, starts, rows, keys, heap[child + 1], heap[child]):
            child += 1
        if not _goes_first(blob, starts, rows, keys, heap[child], table):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = table


@helper
def _new_heap(blob, starts, rows, stops, keys, heap):
    """Put the tables that have rows into the heap, the one whose next row is first on top; returns how many."""
    n_heap = 0
    for table in range(rows.size):
        if rows[table] < stops[table]:
            keys[table] = chunk_at(blob, starts, rows[table], 0)
            heap[n_heap] = table
            n_heap += 1
    for at in range(n_heap // 2 - 1, -1, -1):
        _sift_down(blob, starts, rows, keys, heap, n_heap, at)
    return n_heap


@inlined
def _copy(blob, first, stop, out, to):
    """Copy bytes a word at a time, up to seven bytes too many on either side."""
    for k in range(0, stop - first, 8):
        store8(out, to + k, load8(blob, first + k))
    return to + stop - first


@kernel
def merge_rows(blob, starts, values, rows, stops, keys, heap, out_blob, out_starts, out_values, entries):
    """Write rows rows[t] … stops[t] - 1 of each table t in order, the values (uint64[n, k]) of equal ones added up.

    The tables stand one after another. Writes which row of the output each row became to `entries`, and returns how
    many there are. `rows` is changed; `keys` uint64 and `heap` int64 are room for each table. Both blobs have eight
    bytes to spare.
    """
    n_heap = _new_heap(blob, starts, rows, stops, keys, heap)
    n = np.int64(-1)
    to = np.int64(0)
    last = np.int64(0)
    last_key = np.uint64(0)
    while n_heap > 0:
        table = heap[0]
        row, key = rows[table], keys[table]
        if n < 0 or key != last_key or is_before(blob, starts, last, row, 8):
            n += 1
            out_starts[n] = to
            to = _copy(blob, starts[row], starts[row + 1], out_blob, to)
            last, last_key = row, key
            for c in range(values.shape[1]):
                out_values[n, c] = values[row, c]
        else:
            for c in range(values.shape[1]):
                out_values[n, c] += values[row, c]
        entries[row] = n
        rows[table] = row + 1
        if row + 1 < stops[table]:
            keys[table] = chunk_at(blob, starts, row + 1, 0)
        else:
            n_heap -= 1
            heap[0] = heap[n_heap]
        _sift_down(blob, starts, rows, keys, heap, n_heap, 0)
    out_starts[n + 1] = to
    return n + 1
