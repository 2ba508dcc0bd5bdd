"""Kernels that put the entries of a pre-token table in byte order and write them out."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, inlined, kernel
from vocab.compilation.piece_keys import FIRST_MASKS
from vocab.compilation.words import big_endian, load8, store8
from vocab.pretokens.table_kernels import COUNT, DOCUMENTS

N_SMALL = 24  # entries that are sorted by insertion
_BYTE = np.uint64(0xFF)


@inlined
def chunk_at(arena, starts, entry, depth):
    """Bytes `depth` to `depth` + 8 of an entry, as a number that orders as they do; NULs where it has ended."""
    at = starts[entry] + depth
    n_left = starts[entry + 1] - at
    if n_left <= 0:
        return np.uint64(0)
    word = load8(arena, at)
    if n_left < 8:
        word &= FIRST_MASKS[n_left]
    return big_endian(word)


@inlined
def is_before(arena, starts, one, other, depth):
    """Whether entry `one` stands before entry `other`, whose first `depth` bytes are equal."""
    shorter = min(starts[one + 1] - starts[one], starts[other + 1] - starts[other])
    while depth < shorter:
        a, b = chunk_at(arena, starts, one, depth), chunk_at(arena, starts, other, depth)
        if a != b:
            return a < b
        depth += 8
    return starts[one + 1] - starts[one] < starts[other + 1] - starts[other]


@helper
def _sort_few(arena, starts, order, low, high, depth):
    for k in range(low + 1, high):
        entry = order[k]
        at = k
        while at > low and is_before(arena, starts, entry, order[at - 1], depth):
            order[at] = order[at - 1]
            at -= 1
        order[at] = entry


@helper
def _radix_sort(keys, order, low, high, other_keys, other_order, tallies):
    """Sort order[low:high] by keys[low:high], stably, a byte at a time; bytes that all keys share are skipped."""
    for digit in range(8):
        for value in range(256):
            tallies[digit, value] = 0
    for k in range(low, high):
        for digit in range(8):
            tallies[digit, (keys[k] >> np.uint64(8 * digit)) & _BYTE] += 1
    for digit in range(8):
        shift = np.uint64(8 * digit)
        if tallies[digit, (keys[low] >> shift) & _BYTE] == high - low:
            continue
        at = low
        for value in range(256):
            n = tallies[digit, value]
            tallies[digit, value] = at
            at += n
        for k in range(low, high):
            value = (keys[k] >> shift) & _BYTE
            at = tallies[digit, value]
            tallies[digit, value] = at + 1
            other_keys[at] = keys[k]
            other_order[at] = order[k]
        for k in range(low, high):
            keys[k] = other_keys[k]
            order[k] = other_order[k]


@helper
def _ended_first(starts, order, low, high, depth):
    """Move the entries of at most `depth` bytes to the front of order[low:high]; returns where the others begin."""
    at = low
    for k in range(low, high):
        entry = order[k]
        if starts[entry + 1] - starts[entry] <= depth:
            order[k] = order[at]
            order[at] = entry
            at += 1
    return at


@kernel
def sort(arena, starts, order, keys, other_keys, other_order, tallies, waiting):
    """Put `order`, which names all entries, in byte order: by eight bytes, then those that tie by the next eight.

    Work grows with the bytes that have to be looked at, whatever prefixes are shared. `waiting` int64[n, 3] holds
    ranges of `order` that tie up to a depth; they are disjoint, and all but the first are larger than N_SMALL.
    """
    waiting[0, 0], waiting[0, 1], waiting[0, 2] = 0, order.size, 0
    n_waiting = 1
    while n_waiting > 0:
        n_waiting -= 1
        low, high, depth = waiting[n_waiting, 0], waiting[n_waiting, 1], waiting[n_waiting, 2]
        differ = False
        for k in range(low, high):
            keys[k] = chunk_at(arena, starts, order[k], depth)
            differ |= keys[k] != keys[low]
        if differ:
            _radix_sort(keys, order, low, high, other_keys, other_order, tallies)
        begin = low
        for k in range(low + 1, high + 1):
            if k < high and keys[k] == keys[begin]:
                continue
            if k - begin <= N_SMALL:
                _sort_few(arena, starts, order, begin, k, depth)
            else:
                middle = _ended_first(starts, order, begin, k, depth + 8)
                _sort_few(arena, starts, order, begin, middle, depth)
                waiting[n_waiting, 0], waiting[n_waiting, 1], waiting[n_waiting, 2] = middle, k, depth + 8
                n_waiting += 1
            begin = k


@kernel
def gather(arena, starts, records, order, blob, new_starts, counts, n_documents):
    """Write the entries named in `order` one after another; `blob` has N_SPARE bytes more than they need."""
    to = 0
    for k in range(order.size):
        entry = order[k]
        new_starts[k] = to
        at, stop = starts[entry], starts[entry + 1]
        while at < stop:  # the spare bytes of a word are written over by the next entry
            store8(blob, to, load8(arena, at))
            step = min(stop - at, 8)
            at += step
            to += step
        counts[k] = records[entry, COUNT]
        n_documents[k] = records[entry, DOCUMENTS]
    new_starts[order.size] = to
