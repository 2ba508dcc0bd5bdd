"""Kernels of the method `merges`: byte-pair merges by rank, with tiktoken's look-up of the whole pre-token first.

A token's id is its merge rank. Only the arrays of a `Lattice` are read.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, kernel
from vocab.encoding.loop_kernels import encode_each, tally_each
from vocab.encoding.merging_kernels import (
    HEAP_BYTES,
    NONE,
    close_up,
    copy_parts,
    edges_of,
    find,
    merge_linked,
    merge_pair,
    new_scratch,
    pop,
    push,
)
from vocab.encoding.pricing_kernels import bit, enter, gain_each, price_by_trial, price_each

__all__ = ["encode_all", "new_scratch", "price_pretokens", "restore_gains", "tally"]

# Encoding one pre-token


@helper
def _start(edges, kept, first, n_bytes, scratch):
    """One part a byte, and the rank of each pair of neighbours."""
    for i in range(n_bytes):
        scratch.begins[i] = i
        scratch.path[i] = edges.edge_tokens[edges.edge_starts[first + i]]
        scratch.pairs[i] = find(edges, kept, first + i, 2) if i + 1 < n_bytes else NONE
    scratch.begins[n_bytes] = n_bytes


@helper
def _best_pair(ranks, n):
    best = 0
    for i in range(1, n - 1):
        if ranks[i] < ranks[best]:
            best = i
    return best


@helper
def _merge_on(edges, kept, first, n, scratch):
    """Merge n parts to the end by scanning all pairs each time: fastest for the short pre-tokens of real text."""
    n_tree = 0
    while n > 1:
        best = _best_pair(scratch.pairs, n)
        token = scratch.pairs[best]
        if token == NONE:
            break
        scratch.tree[n_tree] = token
        n_tree += 1
        n = merge_pair(edges, kept, first, best, n, scratch)
    return n, n_tree


@helper
def _push_pair(edges, kept, first, n_bytes, i, n_heap, scratch):
    """Look up what the linked part at byte i and the next one make, and push it; returns how many keys there are."""
    after, ranks = scratch.begins, scratch.pairs
    ranks[i] = NONE
    if after[i] < n_bytes:
        ranks[i] = find(edges, kept, first + i, after[after[i]] - i)
        if ranks[i] != NONE:
            return push(scratch.heap, n_heap, (np.int64(ranks[i]) << 32) | i)
    return n_heap


@helper
def _merge_long(edges, kept, first, n_bytes, scratch):
    """The same merges through a heap of rank << 32 | position; entries gone stale are skipped when popped."""
    path, heap, before = scratch.path, scratch.heap, scratch.before
    for i in range(n_bytes):
        scratch.begins[i] = i + 1
        before[i + 1] = i
        path[i] = edges.edge_tokens[edges.edge_starts[first + i]]
    n_heap = n_tree = 0
    for i in range(n_bytes):
        n_heap = _push_pair(edges, kept, first, n_bytes, i, n_heap, scratch)
    while n_heap > 0:
        key = heap[0]
        n_heap = pop(heap, n_heap)
        at = np.int32(key & 0xFFFFFFFF)
        token = np.int32(key >> 32)
        if scratch.pairs[at] != token:
            continue
        merge_linked(at, token, scratch)
        scratch.tree[n_tree] = token
        n_tree += 1
        n_heap = _push_pair(edges, kept, first, n_bytes, at, n_heap, scratch)
        if at > 0:
            n_heap = _push_pair(edges, kept, first, n_bytes, before[at], n_heap, scratch)
    return close_up(n_bytes, path), n_tree


@helper
def _whole(lattice, kept, w):
    """The kept token that is all of pre-token w, or NONE; segments of longer pre-tokens are not looked up."""
    first = lattice.starts[w]
    return find(edges_of(lattice), kept, first, lattice.starts[w + 1] - first) if w < lattice.n_whole else NONE


@helper
def _encode(lattice, kept, w, scratch):
    """Encode pre-token w, as `loop_kernels` says."""
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    if n_bytes <= HEAP_BYTES:
        return _encode_short(lattice, kept, w, scratch)
    whole = _whole(lattice, kept, w)
    if whole != NONE:
        scratch.path[0] = scratch.tree[0] = whole
        return 1, 1
    return _merge_long(edges_of(lattice), kept, first, n_bytes, scratch)


@helper
def _encode_short(lattice, kept, w, scratch):
    """The same without a heap: slow for long pre-tokens."""
    edges = edges_of(lattice)
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    whole = _whole(lattice, kept, w)
    if whole != NONE:
        scratch.path[0] = scratch.tree[0] = whole
        return 1, 1 if n_bytes > 1 else 0
    _start(edges, kept, first, n_bytes, scratch)
    return _merge_on(edges, kept, first, n_bytes, scratch)


# Pricing one pre-token


@helper
def _price(lattice, kept, w, scratch, other, ledger):
    """As `price_by_trial`, quicker: without a token, all goes as before until the token would first be merged."""
    if _whole(lattice, kept, w) != NONE:
        return price_by_trial(_encode_short, lattice, kept, w, scratch, other, ledger)
    edges = edges_of(lattice)
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    _start(edges, kept, first, n_bytes, scratch)
    begin = ledger.starts[w]
    signature = np.uint64(0)
    n = n_bytes
    n_priced = 0
    while n > 1:
        best = _best_pair(scratch.pairs, n)
        token = scratch.pairs[best]
        if token == NONE:
            break
        signature |= bit(token)
        n_before = n_priced
        n_priced = enter(ledger, begin, n_priced, token, 0)
        if n_priced > n_before:
            copy_parts(n, n_bytes, token, scratch, other)
            kept[token] = False
            without, n_other = _merge_on(edges, kept, first, n, other)
            kept[token] = True
            for j in range(n_other):
                signature |= bit(other.tree[j])
            ledger.tree_prices[begin + n_before] = without
        n = merge_pair(edges, kept, first, best, n, scratch)
    for k in range(begin, begin + n_priced):
        ledger.tree_prices[k] -= n
    ledger.tree_sizes[w] = n_priced
    ledger.signatures[w] = signature
    return n


# What Python calls, the same for each method


@kernel
def encode_all(lattice, kept, leaves_out, a, b, ids, sizes, scratch):
    encode_each(_encode, lattice, kept, leaves_out, a, b, ids, sizes, scratch)


@kernel
def tally(lattice, kept, counts, a, b, uses, scratch):
    return tally_each(_encode, lattice, kept, counts, a, b, uses, scratch)


@kernel
def price_pretokens(lattice, kept, counts, pending, a, b, ledger, prices, scratch, other):
    return price_each(_price, lattice, kept, counts, pending, a, b, ledger, prices, scratch, other)


@kernel
def restore_gains(lattice, kept, counts, sizes, candidates, a, b, gains, scratch, other, seen, saved):
    # A restored token can break up a segment that is one token, because segments are never looked up whole.
    n_stable = lattice.n_whole
    gain_each(_encode_short, lattice, kept, counts, sizes, candidates, n_stable, a, b, gains, scratch, seen)
