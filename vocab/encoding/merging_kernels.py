"""Kernels that all merging shares: tokens at a place, a merge in a list of parts, a heap of merges.

A pre-token is a list of parts, at first its bytes or characters. Merging two neighbours makes one part of them.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import helper

# Above this many bytes merges go through a heap: O(n log n) instead of O(n²) for one huge pre-token.
HEAP_BYTES = 200
NONE = np.int32(2**31 - 1)  # no token: after every rank


class Edges(NamedTuple):
    """The part of a lattice that merging reads: Numba hands each array of a tuple to every call that is not inlined.

    Calls for each merge that carried the whole lattice made dropping tokens a sixth slower.
    """

    edge_starts: npt.NDArray[np.int64]
    edge_tokens: npt.NDArray[np.int32]
    edge_lengths: npt.NDArray[Any]


class Scratch(NamedTuple):
    """What merging one pre-token writes, with room for its bytes and 2 more in each array."""

    path: npt.NDArray[np.int32]  # token of each part, in the end those of the pre-token
    tree: npt.NDArray[np.int32]  # every token of 2 bytes or more that came up, [2 · room]
    begins: npt.NDArray[np.int32]  # first byte of each part; with a heap, by first byte: that of the next part
    pairs: npt.NDArray[np.int32]  # token that each part and the next would make, or NONE; with a heap, by first byte
    before: npt.NDArray[np.int32]  # with a heap, by first byte: that of the part before
    heap: npt.NDArray[np.int64]  # [3 · room], or empty where no pre-token is longer than HEAP_BYTES


def new_scratch(room: int) -> Scratch:
    """Scratch for pre-tokens of at most `room` - 2 bytes."""
    path, begins, pairs, before = (np.empty(room, dtype=np.int32) for _ in range(4))
    heap = np.empty(3 * room if room > HEAP_BYTES else 0, dtype=np.int64)
    return Scratch(path, np.empty(2 * room, dtype=np.int32), begins, pairs, before, heap)


@helper
def edges_of(lattice):
    return Edges(lattice.edge_starts, lattice.edge_tokens, lattice.edge_lengths)


@helper
def find(edges, kept, position, length):
    """The kept token of `length` bytes at `position`, or NONE."""
    for e in range(edges.edge_starts[position], edges.edge_starts[position + 1]):
        here = edges.edge_lengths[e]
        if here >= length:
            token = edges.edge_tokens[e]
            return token if here == length and kept[token] else NONE
    return NONE


@helper
def merge_pair(edges, kept, first, best, n, scratch):
    """Merge parts best and best + 1 of n into the token that their pair names; returns n - 1."""
    path, begins, pairs = scratch.path, scratch.begins, scratch.pairs
    path[best] = pairs[best]
    n -= 1
    for i in range(best + 1, n):
        begins[i] = begins[i + 1]
        path[i] = path[i + 1]
        pairs[i] = pairs[i + 1]
    begins[n] = begins[n + 1]
    pairs[n - 1] = NONE
    for i in range(max(best - 1, 0), min(best + 1, n - 1)):
        pairs[i] = find(edges, kept, first + begins[i], begins[i + 2] - begins[i])
    return n


@helper
def copy_parts(n, n_bytes, token, scratch, other):
    """Copy n parts to `other` as they would be if `token` did not exist."""
    for i in range(n):
        other.path[i] = scratch.path[i]
        other.begins[i] = scratch.begins[i]
        other.pairs[i] = scratch.pairs[i] if scratch.pairs[i] != token else NONE
    other.begins[n] = n_bytes


# A heap of keys, smallest first. Parts are linked by their first bytes: `begins` leads to the next part, `before` to
# the one before it; `pairs` and `path` are by first byte too, with -1 in `path` where no part begins.


@helper
def push(heap, n, key):
    child = n
    while child > 0:
        parent = (child - 1) >> 1
        if heap[parent] <= key:
            break
        heap[child] = heap[parent]
        child = parent
    heap[child] = key
    return n + 1


@helper
def pop(heap, n):
    """Remove the smallest key, which heap[0] holds; returns the new size."""
    n -= 1
    key = heap[n]
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= n:
            break
        if child + 1 < n and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[parent] = heap[child]
        parent = child
    heap[parent] = key
    return n


@helper
def merge_linked(at, token, scratch):
    """Merge the part that begins at byte `at` and the next one, both linked, into `token`."""
    path, after, pairs, before = scratch.path, scratch.begins, scratch.pairs, scratch.before
    gone = after[at]
    path[at] = token
    path[gone] = -1
    pairs[gone] = NONE
    after[at] = after[gone]
    before[after[at]] = at


@helper
def close_up(n_bytes, path):
    """Move the tokens of linked parts to the front of `path`; returns how many there are."""
    n = 0
    for i in range(n_bytes):
        if path[i] >= 0:
            path[n] = path[i]
            n += 1
    return n
