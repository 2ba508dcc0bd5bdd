"""Leaf pruning: a heap of leaves, least used first and of equal ones the later rank."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
from __future__ import annotations

from vocab.compilation.kernels import helper, inlined, kernel


@inlined
def _is_before(counts, a, b):
    return counts[a] < counts[b] or (counts[a] == counts[b] and a > b)


@helper
def _rise(heap, k, counts):
    """Move the leaf at place k up to where its parent in the heap is before it."""
    token = heap[k]
    while k > 0 and _is_before(counts, token, heap[(k - 1) // 2]):
        heap[k] = heap[(k - 1) // 2]
        k = (k - 1) // 2
    heap[k] = token


@helper
def _sink(heap, n, counts):
    """Move the first of n leaves down to where both below it are after it."""
    token, k = heap[0], 0
    while 2 * k + 1 < n:
        below = 2 * k + 1
        if below + 1 < n and _is_before(counts, heap[below + 1], heap[below]):
            below += 1
        if not _is_before(counts, heap[below], token):
            break
        heap[k] = heap[below]
        k = below
    heap[k] = token


@kernel
def drop_leaves(parents, n_children, counts, is_protected, heap, order):
    """Write the leaves that are dropped one after the other to `order`; returns how many.

    `parents` int64[n, 2], -1 for none; `n_children` and `counts` int64[n] are changed; `heap` int64[n] is room.
    """
    n = 0
    for token in range(counts.size):
        if n_children[token] == 0 and not is_protected[token]:
            heap[n] = token
            _rise(heap, n, counts)
            n += 1
    n_dropped = 0
    while n > 0 and n_dropped < order.size:
        token = heap[0]  # its count is final, as all that would add to it is dropped
        n -= 1
        heap[0] = heap[n]
        _sink(heap, n, counts)
        order[n_dropped] = token
        n_dropped += 1
        for side in range(2):
            parent = parents[token, side]
            if parent >= 0:
                counts[parent] += counts[token]
                n_children[parent] -= 1
                if n_children[parent] == 0 and not is_protected[parent]:
                    heap[n] = parent
                    _rise(heap, n, counts)
                    n += 1
    return n_dropped
