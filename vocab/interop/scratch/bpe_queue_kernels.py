"""Kernels of the queue of pairs to merge: entries of high counts in a heap, and all others outside it."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import helper, inlined
from vocab.interop.scratch.bpe_table_kernels import LEAST, N_ENTRIES, N_HEAP, slot_of

_IN_HEAP = np.int64(-1)


class Entries(NamedTuple):
    """Entries of the queue in the order in which they were made; entry e is of words[starts[e] : starts[e + 1]]."""

    pairs: npt.NDArray[np.int64]  # [room]
    counts: npt.NDArray[np.int64]  # under which an entry waits outside the heap, [room]
    starts: npt.NDArray[np.int64]  # [room + 1]
    words: npt.NDArray[np.int32]  # [3 · n_bytes], never full: a merge takes a symbol away and makes two pairs at most


# The heap is of (count, pair, entry), int64[room, 3].


@inlined
def _before(heap, k, count, pair, entry):
    """Whether heap[k] has its turn before these."""
    if heap[k, 0] != count:
        return heap[k, 0] > count
    return heap[k, 1] < pair or (heap[k, 1] == pair and heap[k, 2] < entry)


@helper
def _push(heap, n, count, pair, entry):
    """Add an entry to a heap of n; returns its new size."""
    child = n
    while child > 0:
        parent = (child - 1) >> 1
        if _before(heap, parent, count, pair, entry):
            break
        heap[child, 0], heap[child, 1], heap[child, 2] = heap[parent, 0], heap[parent, 1], heap[parent, 2]
        child = parent
    heap[child, 0], heap[child, 1], heap[child, 2] = count, pair, entry
    return n + 1


@helper
def _pop(heap, n):
    """Take the first entry out of a heap of n; returns its new size."""
    n -= 1
    count, pair, entry = heap[n, 0], heap[n, 1], heap[n, 2]
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= n:
            break
        if child + 1 < n and _before(heap, child + 1, heap[child, 0], heap[child, 1], heap[child, 2]):
            child += 1
        if not _before(heap, child, count, pair, entry):
            break
        heap[parent, 0], heap[parent, 1], heap[parent, 2] = heap[child, 0], heap[child, 1], heap[child, 2]
        parent = child
    heap[parent, 0], heap[parent, 1], heap[parent, 2] = count, pair, entry
    return n


@helper
def wait(entries, heap, entry, count, state):
    """Put an entry into the queue under a count above 0."""
    if count >= state[LEAST]:
        entries.counts[entry] = _IN_HEAP
        state[N_HEAP] = _push(heap, state[N_HEAP], count, entries.pairs[entry], entry)
    else:
        entries.counts[entry] = count


@helper
def _fill_heap(entries, heap, state):
    """Put the entries into the empty heap whose counts are above half of the highest; False where they do not fit."""
    n = state[N_ENTRIES]
    most = np.int64(0)
    for e in range(n):
        most = max(most, entries.counts[e])
    least = most // 2 + 1
    n_high = 0
    for e in range(n):
        n_high += entries.counts[e] >= least
    if n_high > heap.shape[0]:
        return False
    state[LEAST] = least
    for e in range(n):
        if entries.counts[e] >= least:
            wait(entries, heap, e, entries.counts[e], state)
    return True


@helper
def next_entry(pairs, entries, heap, state):
    """Take the next entry out of the queue; its number, -1 where there is none, -2 where the heap has no room."""
    while True:
        if state[N_HEAP] == 0 and not _fill_heap(entries, heap, state):
            return np.int64(-2)
        if state[N_HEAP] == 0:
            return np.int64(-1)
        waited, pair, entry = heap[0, 0], heap[0, 1], heap[0, 2]
        count = pairs.counts[slot_of(pairs.keys, pair)]
        state[N_HEAP] = _pop(heap, state[N_HEAP])
        if count == waited:
            return entry
        if count > 0:
            wait(entries, heap, entry, count, state)
