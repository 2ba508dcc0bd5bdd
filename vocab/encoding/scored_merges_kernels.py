"""Kernels of the method `scored-merges`: SentencePiece's BPE (google/sentencepiece `bpe_model.cc`).

Characters are merged by `order`, of equal order further left first; a character without a token becomes its bytes, or
where there are none, a run of such characters the unknown token.
Whole pre-tokens are not looked up. The order is that of the token that is made, as SentencePiece has it, or that of the
pair that makes it, as Hugging Face tokenizers lists merges; a pair that is not listed has the order NONE.

In SentencePiece a character without a piece can still be merged into one; here and in Hugging Face tokenizers it is
bytes at once. Both are the same wherever each character of every piece is a piece too, which readers and writers check.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import helper, kernel
from vocab.encoding.character_kernels import width_of
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
from vocab.encoding.pricing_kernels import bit, enter, gain_each, price_each

__all__ = ["ScoredLattice", "encode_all", "new_scratch", "price_pretokens", "restore_gains", "tally"]


class ScoredLattice(NamedTuple):
    """A lattice with what these kernels ask of tokens; see `Lattice` and `TokenTrie`."""

    starts: npt.NDArray[np.int64]
    edge_starts: npt.NDArray[np.int64]
    edge_tokens: npt.NDArray[np.int32]
    edge_lengths: npt.NDArray[Any]
    lengths: npt.NDArray[np.int32]
    blob: npt.NDArray[np.uint8]  # the pre-tokens' bytes
    order: npt.NDArray[np.int32]  # of merging, a token, or with `by_pair` a byte of all tokens: see `_order`
    byte_tokens: npt.NDArray[np.int32]  # the token that stands for each byte, int32[256]
    order_starts: npt.NDArray[np.int64]  # where the order of each token begins, [n_tokens]
    by_pair: int  # 1 where order depends on how long the left part is, else 0
    fuses: int  # 1 where a run of characters without a token is the token byte_tokens[0], else 0


# Encoding one pre-token


@helper
def _order(lattice, token, n_left):
    """The order of making `token` of a left part of n_left bytes and the rest, or NONE."""
    return lattice.order[lattice.order_starts[token] + n_left * lattice.by_pair]


@helper
def _start_characters(lattice, kept, first, n_bytes, scratch):
    """One part a character, or a byte where it has no kept token and bytes stand for it; returns how many.

    scratch.pairs[i] is the token that parts i and i + 1 make together, or NONE. A byte's part makes none with any
    other, because every token but a byte's is whole characters.
    """
    edges = edges_of(lattice)
    path, begins, pairs = scratch.path, scratch.begins, scratch.pairs
    n = i = 0
    while i < n_bytes:
        width = min(width_of(lattice.blob[first + i]), n_bytes - i)
        token = find(edges, kept, first + i, width)
        if token != NONE:
            begins[n] = i
            path[n] = token
            n += 1
        else:
            for k in range(i, i + 1 if lattice.fuses else i + width):
                begins[n] = k
                path[n] = lattice.byte_tokens[lattice.blob[first + k]]
                n += 1
        i += width
    begins[n] = n_bytes
    for k in range(n - 1):
        pairs[k] = find(edges, kept, first + begins[k], begins[k + 2] - begins[k])
    pairs[n - 1] = NONE
    return n


@helper
def _note_characters(lattice, n, scratch):
    """Put the tokens of 2 bytes or more among n parts into scratch.tree; returns how many."""
    n_tree = 0
    for k in range(n):
        if lattice.lengths[scratch.path[k]] > 1:
            scratch.tree[n_tree] = scratch.path[k]
            n_tree += 1
    return n_tree


@helper
def _best_pair(lattice, scratch, n):
    """The pair of n parts of the least order, further left of equal ones; -1 where no pair makes a token."""
    pairs, begins = scratch.pairs, scratch.begins
    best = -1
    least = NONE
    for i in range(n - 1):
        if pairs[i] != NONE:
            order = _order(lattice, pairs[i], begins[i + 1] - begins[i])
            if order < least:
                best = i
                least = order
    return best


@helper
def _merge_on(lattice, kept, first, n, n_tree, scratch):
    """Merge n parts to the end by scanning all pairs each time."""
    while n > 1:
        best = _best_pair(lattice, scratch, n)
        if best < 0:
            break
        scratch.tree[n_tree] = scratch.pairs[best]
        n_tree += 1
        n = merge_pair(edges_of(lattice), kept, first, best, n, scratch)
    return n, n_tree


@helper
def _link(n_bytes, n, scratch):
    """Link n parts by their first bytes."""
    path, after, pairs, before = scratch.path, scratch.begins, scratch.pairs, scratch.before
    # From the last part to the first, so that what is numbered by part is read before its place is written by byte.
    end = n_bytes
    for k in range(n - 1, -1, -1):
        start, token, pair = after[k], path[k], pairs[k]
        for i in range(start, end):
            path[i] = -1
            pairs[i] = NONE
        path[start] = token
        pairs[start] = pair
        after[start] = end
        before[end] = start
        end = start


@helper
def _push_pair(lattice, kept, first, n_bytes, i, n_heap, scratch):
    """Look up what the linked part at byte i and the next one make, and push it; returns how many keys there are."""
    after, pairs = scratch.begins, scratch.pairs
    pairs[i] = NONE
    if after[i] < n_bytes:
        pairs[i] = find(edges_of(lattice), kept, first + i, after[after[i]] - i)
        if pairs[i] != NONE:
            order = _order(lattice, pairs[i], after[i] - i)
            if order != NONE:
                return push(scratch.heap, n_heap, (np.int64(order) << 32) | i)
    return n_heap


@helper
def _merge_long(lattice, kept, first, n_bytes, n, n_tree, scratch):
    """The same merges through a heap of order << 32 | position; entries gone stale are skipped when popped."""
    after, pairs, before, heap = scratch.begins, scratch.pairs, scratch.before, scratch.heap
    _link(n_bytes, n, scratch)
    n_heap = 0
    i = 0
    while i < n_bytes:
        n_heap = _push_pair(lattice, kept, first, n_bytes, i, n_heap, scratch)
        i = after[i]
    while n_heap > 0:
        key = heap[0]
        n_heap = pop(heap, n_heap)
        at = np.int32(key & 0xFFFFFFFF)
        token = pairs[at]
        if token == NONE or _order(lattice, token, after[at] - at) != np.int32(key >> 32):
            continue
        merge_linked(at, token, scratch)
        scratch.tree[n_tree] = token
        n_tree += 1
        n_heap = _push_pair(lattice, kept, first, n_bytes, at, n_heap, scratch)
        if at > 0:
            n_heap = _push_pair(lattice, kept, first, n_bytes, before[at], n_heap, scratch)
    return close_up(n_bytes, scratch.path), n_tree


@helper
def _fused(lattice, n, path):
    """Make one of unknown tokens that follow each other among n in `path`; returns how many tokens are left."""
    if not lattice.fuses:
        return n
    n_left = 0
    for k in range(n):
        if n_left == 0 or path[k] != lattice.byte_tokens[0] or path[n_left - 1] != path[k]:
            path[n_left] = path[k]
            n_left += 1
    return n_left


@helper
def _encode(lattice, kept, w, scratch):
    """Encode pre-token w, as `loop_kernels` says."""
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    n = _start_characters(lattice, kept, first, n_bytes, scratch)
    n_tree = _note_characters(lattice, n, scratch)
    if n_bytes <= HEAP_BYTES:
        n, n_tree = _merge_on(lattice, kept, first, n, n_tree, scratch)
    else:
        n, n_tree = _merge_long(lattice, kept, first, n_bytes, n, n_tree, scratch)
    return _fused(lattice, n, scratch.path), n_tree


# Pricing one pre-token


@helper
def _price_token(lattice, kept, first, n_bytes, token, n, is_merged, scratch, other):
    """Tokens without `token`, which n parts are about to be merged into (`is_merged`) or one of which it is.

    Returns (tokens, signature of what came up).
    """
    kept[token] = False
    if is_merged:
        n_other = n
        copy_parts(n, n_bytes, token, scratch, other)
    else:
        n_other = _start_characters(lattice, kept, first, n_bytes, other)
    without, n_tree = _merge_on(lattice, kept, first, n_other, 0, other)
    kept[token] = True
    signature = np.uint64(0)
    for j in range(n_tree):
        signature |= bit(other.tree[j])
    return without, signature


@helper
def _price(lattice, kept, w, scratch, other, ledger):
    """As `price_by_trial`, quicker: characters by trial; without another token all goes as before until its merge."""
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    n = _start_characters(lattice, kept, first, n_bytes, scratch)
    begin = ledger.starts[w]
    signature = np.uint64(0)
    n_priced = step = 0
    n_characters = n
    while True:  # first the characters one after the other, then, when step is n_characters, the merges
        best = -1
        if step < n_characters:
            token = scratch.path[step]
        else:
            best = _best_pair(lattice, scratch, n)
            if best < 0:
                break
            token = scratch.pairs[best]
        if lattice.lengths[token] > 1:
            signature |= bit(token)
            n_before = n_priced
            n_priced = enter(ledger, begin, n_priced, token, 0)
            if n_priced > n_before:
                without, others = _price_token(lattice, kept, first, n_bytes, token, n, best >= 0, scratch, other)
                signature |= others
                ledger.tree_prices[begin + n_before] = without
        if best >= 0:
            n = merge_pair(edges_of(lattice), kept, first, best, n, scratch)
        else:
            step += 1
    for k in range(begin, begin + n_priced):
        ledger.tree_prices[k] -= n
    ledger.tree_sizes[w] = n_priced
    ledger.signatures[w] = signature
    return _fused(lattice, n, scratch.path)


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
    gain_each(_encode, lattice, kept, counts, sizes, candidates, 0, a, b, gains, scratch, seen)
