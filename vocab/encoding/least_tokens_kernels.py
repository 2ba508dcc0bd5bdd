"""Kernels of the method `least-tokens`: the shortest path; of equal ones, that whose last token is longest, and so on.

Prices come from two passes over the lattice, one in each direction: without token k of the path, the best way takes
another edge over the first byte of that token.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import helper, kernel
from vocab.encoding.loop_kernels import encode_each, tally_each
from vocab.encoding.merging_kernels import NONE
from vocab.encoding.pricing_kernels import bit, enter, price_by_trial, price_each


class Scratch(NamedTuple):
    """What one pre-token needs, with room for its bytes and 2 more in each array."""

    path: npt.NDArray[np.int32]  # tokens of the pre-token
    tree: npt.NDArray[np.int32]  # those of 2 bytes or more
    costs: npt.NDArray[np.int32]  # fewest tokens from the start to each byte
    last: npt.NDArray[np.int32]  # last token of such a way
    costs_to_end: npt.NDArray[np.int32]  # fewest tokens from each byte to the end
    following: npt.NDArray[np.int32]  # first token of such a way
    begins: npt.NDArray[np.int32]  # first byte of each token of the path
    detour_costs: npt.NDArray[np.int32]  # fewest tokens without the place of each token of the path
    detour_tokens: npt.NDArray[np.int32]  # a token that such a way goes through …
    detour_begins: npt.NDArray[np.int32]  # … and its first byte


def new_scratch(room: int) -> Scratch:
    """Scratch for pre-tokens of at most `room` - 2 bytes."""
    return Scratch(*np.empty((len(Scratch._fields), room), dtype=np.int32))


# Encoding one pre-token


@helper
def _fill_path(lattice, kept, first, n_bytes, scratch):
    """Dynamic programme over bytes; only a strictly better way replaces one found from an earlier start."""
    costs, last = scratch.costs, scratch.last
    for i in range(1, n_bytes + 1):
        costs[i] = NONE
    costs[0] = 0
    for i in range(n_bytes):
        cost = costs[i] + 1
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            end = i + lattice.edge_lengths[e]
            if cost < costs[end] and kept[lattice.edge_tokens[e]]:
                costs[end] = cost
                last[end] = lattice.edge_tokens[e]
    n = costs[n_bytes]
    end = n_bytes
    for k in range(n - 1, -1, -1):
        scratch.path[k] = last[end]
        end -= lattice.lengths[last[end]]
    return n


@helper
def _encode(lattice, kept, w, scratch):
    """Encode pre-token w, as `loop_kernels` says."""
    first = lattice.starts[w]
    n = _fill_path(lattice, kept, first, lattice.starts[w + 1] - first, scratch)
    n_tree = 0
    for k in range(n):
        token = scratch.path[k]
        if lattice.lengths[token] > 1:
            scratch.tree[n_tree] = token
            n_tree += 1
    return n, n_tree


# Pricing one pre-token


@helper
def _fill_ways_to_end(lattice, kept, first, n_bytes, scratch):
    """Fewest tokens from each byte to the end of the pre-token, and the first token of such a way."""
    least, following = scratch.costs_to_end, scratch.following
    least[n_bytes] = 0
    for i in range(n_bytes - 1, -1, -1):
        least[i] = NONE
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            cost = least[i + lattice.edge_lengths[e]] + 1
            if cost < least[i] and kept[lattice.edge_tokens[e]]:
                least[i] = cost
                following[i] = lattice.edge_tokens[e]


@helper
def _fill_detours(lattice, kept, first, n_bytes, n, path_bits, scratch):
    """For each token on the path, the cheapest way that avoids its place; returns whether a token is in two places.

    Every way covers the first byte of path token k with exactly one edge, so the best way without that place is the
    least of (tokens before the edge) + 1 + (tokens after it) over the other edges that cover that byte.
    """
    begins, costs = scratch.begins, scratch.detour_costs
    i = 0
    for k in range(n):
        begins[k] = i
        costs[k] = NONE
        i += lattice.lengths[scratch.path[k]]
    repeats = False
    from_k = 0
    for i in range(n_bytes):
        while from_k < n and begins[from_k] < i:
            from_k += 1
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            token = lattice.edge_tokens[e]
            if not kept[token]:
                continue
            end = i + lattice.edge_lengths[e]
            way = scratch.costs[i] + 1 + scratch.costs_to_end[end]
            if path_bits & bit(token) != 0 and lattice.lengths[token] > 1:
                for k in range(n):
                    repeats = repeats or (scratch.path[k] == token and begins[k] != i)
            for k in range(from_k, n):
                if begins[k] >= end:
                    break
                if way < costs[k] and not (begins[k] == i and scratch.path[k] == token):
                    costs[k] = way
                    scratch.detour_tokens[k] = token
                    scratch.detour_begins[k] = i
    return repeats


@helper
def _detour_bits(lattice, n_bytes, k, scratch):
    """The signature of the detour around token k of the path."""
    signature = bit(scratch.detour_tokens[k])
    begin = scratch.detour_begins[k]
    end = begin + lattice.lengths[scratch.detour_tokens[k]]
    while begin > 0:
        signature |= bit(scratch.last[begin])
        begin -= lattice.lengths[scratch.last[begin]]
    while end < n_bytes:
        signature |= bit(scratch.following[end])
        end += lattice.lengths[scratch.following[end]]
    return signature


@helper
def _price(lattice, kept, w, scratch, other, ledger):
    """As `price_by_trial`, from the detours; by trial where a token is in two places."""
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    n = _fill_path(lattice, kept, first, n_bytes, scratch)
    _fill_ways_to_end(lattice, kept, first, n_bytes, scratch)
    signature = np.uint64(0)
    for k in range(n):
        signature |= bit(scratch.path[k])
    if _fill_detours(lattice, kept, first, n_bytes, n, signature, scratch):
        return price_by_trial(_encode, lattice, kept, w, scratch, other, ledger)
    n_priced = 0
    for k in range(n):
        if lattice.lengths[scratch.path[k]] == 1:
            continue
        n_priced = enter(ledger, ledger.starts[w], n_priced, scratch.path[k], scratch.detour_costs[k] - n)
        signature |= _detour_bits(lattice, n_bytes, k, scratch)
    ledger.tree_sizes[w] = n_priced
    ledger.signatures[w] = signature
    return n


@helper
def _gain_each(lattice, kept, counts, sizes, candidates, a, b, gains, scratch, other, seen, saved):
    """As `gain_each`, quicker: a token in one place saves what the best way through that place does.

    Only where it is in several places of a pre-token, that is encoded again. `saved` (int32 a token) is what the first
    place of each token saves, -1 when all of its places are accounted for.
    """
    for w in range(a, b):
        if counts[w] == 0 or sizes[w] == 1:
            continue
        first = lattice.starts[w]
        n_bytes = lattice.starts[w + 1] - first
        _fill_path(lattice, kept, first, n_bytes, scratch)
        _fill_ways_to_end(lattice, kept, first, n_bytes, scratch)
        for i in range(n_bytes):
            for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
                token = lattice.edge_tokens[e]
                if not candidates[token]:
                    continue
                if seen[token] != w:
                    seen[token] = w
                    way = scratch.costs[i] + 1 + scratch.costs_to_end[i + lattice.edge_lengths[e]]
                    saved[token] = max(0, sizes[w] - way)
                    gains[token] += counts[w] * saved[token]
                elif saved[token] >= 0:
                    kept[token] = True
                    n = _fill_path(lattice, kept, first, n_bytes, other)
                    kept[token] = False
                    gains[token] += counts[w] * (sizes[w] - n - saved[token])
                    saved[token] = -1


# What Python calls, the same for each method; others need no `saved`


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
    _gain_each(lattice, kept, counts, sizes, candidates, a, b, gains, scratch, other, seen, saved)
