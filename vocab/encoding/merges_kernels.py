"""Kernels of the method `merges`: byte-pair merges by rank, with tiktoken's look-up of the whole pre-token first.

A token's id is its merge rank. Only the arrays of a `Lattice` are read.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import helper, kernel
from vocab.encoding import merging_kernels
from vocab.encoding.loop_kernels import encode_each, tally_each
from vocab.encoding.merge_table_kernels import (
    MOST_TOKENS,
    NO_KEY,
    NO_RANK,
    TABLE_BYTES,
    MergeTable,
    copy_without,
    enter_places,
    fill_table,
    has_come_up,
    least_key,
    list_tokens,
    merge_parts,
    merge_to_end,
    new_merge_table,
    note_pairs,
    single_bytes,
)
from vocab.encoding.merging_kernels import (
    HEAP_BYTES,
    NONE,
    close_up,
    copy_parts,
    edges_of,
    find,
    merge_linked,
    merge_pair,
    pop,
    push,
)
from vocab.encoding.pricing_kernels import bit, enter, gain_each, price_by_trial, price_each

__all__ = ["encode_all", "new_scratch", "price_pretokens", "restore_gains", "tally"]


class Scratch(NamedTuple):
    """What merging one pre-token writes; `path` and `tree` are as in `merging_kernels.Scratch`."""

    path: npt.NDArray[np.int32]
    tree: npt.NDArray[np.int32]
    by_scan: merging_kernels.Scratch
    by_table: MergeTable


def new_scratch(room: int) -> Scratch:
    """Scratch for pre-tokens of at most `room` - 2 bytes."""
    by_scan = merging_kernels.new_scratch(room)
    return Scratch(by_scan.path, by_scan.tree, by_scan, new_merge_table())


# Encoding one pre-token


@helper
def _has_table(lattice, n_bytes):
    return n_bytes <= TABLE_BYTES and lattice.lengths.size < MOST_TOKENS


@helper
def _fill(lattice, kept, first, n_bytes, scratch):
    """The table of a pre-token, and its single bytes as parts."""
    table, parts = scratch.by_table.table, scratch.by_table.parts
    fill_table(lattice.edge_starts, lattice.edge_tokens, lattice.edge_lengths, kept, first, n_bytes, table)
    single_bytes(table, n_bytes, parts.keys, parts.after, parts.before)


@helper
def _encode_table(lattice, kept, first, n_bytes, scratch):
    """Merge a short pre-token; returns (tokens, tokens in scratch.tree)."""
    _fill(lattice, kept, first, n_bytes, scratch)
    table, parts, path = scratch.by_table.table, scratch.by_table.parts, scratch.path
    n, n_tree = merge_to_end(table, n_bytes, n_bytes, NO_RANK, parts.keys, parts.after, parts.before, scratch.tree)
    i = np.int64(0)
    for k in range(n):
        end = np.int64(parts.after[i])
        if end - i == 1:
            path[k] = lattice.edge_tokens[lattice.edge_starts[first + i]]
        else:
            path[k] = table[i * TABLE_BYTES + end] >> np.uint32(6)
        i = end
    return n, n_tree


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
    return _merge_long(edges_of(lattice), kept, first, n_bytes, scratch.by_scan)


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
    if _has_table(lattice, n_bytes):
        return _encode_table(lattice, kept, first, n_bytes, scratch)
    _start(edges, kept, first, n_bytes, scratch.by_scan)
    return _merge_on(edges, kept, first, n_bytes, scratch.by_scan)


# Pricing one pre-token


@helper
def _price(lattice, kept, w, scratch, other, ledger):
    """As `price_by_trial`, quicker: without a token, all goes as before until the token would first be merged."""
    if _whole(lattice, kept, w) != NONE:
        return price_by_trial(_encode_short, lattice, kept, w, scratch, other, ledger)
    n_bytes = lattice.starts[w + 1] - lattice.starts[w]
    if _has_table(lattice, n_bytes):
        _fill(lattice, kept, lattice.starts[w], n_bytes, scratch)
        return _price_by_table(w, n_bytes, scratch.by_table, other.tree, ledger)
    return _price_by_scan(lattice, kept, w, scratch.by_scan, other.by_scan, ledger)


@helper
def _price_by_table(w, n_bytes, by_table, tree, ledger):
    """The same for a pre-token whose table is filled."""
    table, (keys, after, before), other, _, _ = by_table
    begin = ledger.starts[w]
    signature = np.uint64(0)
    n, n_priced = n_bytes, 0
    key = least_key(keys, n_bytes)
    while key != NO_KEY:
        rank = key >> np.uint32(6)
        signature |= bit(rank)
        n_before = n_priced
        n_priced = enter(ledger, begin, n_priced, rank, 0)
        if n_priced > n_before:
            copy_without(keys, after, before, n_bytes, rank, other.keys, other.after, other.before)
            without, n_other = merge_to_end(table, n_bytes, n, rank, other.keys, other.after, other.before, tree)
            for j in range(n_other):
                signature |= bit(tree[j])
            ledger.tree_prices[begin + n_before] = without
        merge_parts(table, n_bytes, key, NO_RANK, keys, after, before)
        n -= 1
        key = least_key(keys, n_bytes)
    for k in range(begin, begin + n_priced):
        ledger.tree_prices[k] -= n
    ledger.tree_sizes[w] = n_priced
    ledger.signatures[w] = signature
    return n


@helper
def _price_by_scan(lattice, kept, w, scratch, other, ledger):
    """The same without a table."""
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


@helper
def _gain(lattice, kept, count, size, candidates, w, gains, scratch, seen):
    """As `gain_each` for one short pre-token, quicker: a token changes nothing unless two parts come up that make it.

    Until it is merged all goes as without it, so that merging once without any candidate shows what comes up.
    """
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    table, (keys, after, before), _, dropped, pairs = scratch.by_table
    edges = edges_of(lattice)
    n_dropped = list_tokens(
        edges.edge_starts, edges.edge_tokens, edges.edge_lengths, candidates, first, n_bytes, dropped
    )
    is_filled = False
    for k in range(n_dropped):
        token, place = dropped[k, 0], np.int64(dropped[k, 1])
        if seen[token] == w:
            continue
        seen[token] = w
        n = 1
        if place != n_bytes or w >= lattice.n_whole:
            if not is_filled:
                is_filled = True
                _fill(lattice, kept, first, n_bytes, scratch)
                note_pairs(table, n_bytes, keys, after, before, pairs)
            if not has_come_up(pairs, dropped, k, n_dropped):
                continue
            enter_places(dropped, k, n_dropped, table, False)
            single_bytes(table, n_bytes, keys, after, before)
            n, _ = merge_to_end(table, n_bytes, n_bytes, NO_RANK, keys, after, before, scratch.tree)
            enter_places(dropped, k, n_dropped, table, True)
        gains[token] += count * (size - n)


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
    for w in range(a, b):
        if counts[w] == 0 or (sizes[w] == 1 and w < n_stable):
            continue
        if _has_table(lattice, lattice.starts[w + 1] - lattice.starts[w]):
            _gain(lattice, kept, counts[w], sizes[w], candidates, w, gains, scratch, seen)
        else:
            gain_each(_encode_short, lattice, kept, counts, sizes, candidates, n_stable, w, w + 1, gains, scratch, seen)
