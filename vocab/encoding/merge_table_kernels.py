"""Kernels of merging one short pre-token by a table of its kept tokens, for the method `merges`.

Entry i · 64 + j of the table (uint32) is the key of the token of bytes i … j - 1: its rank · 64 + i, or NO_KEY. A part
is known by its first byte i: `keys[i]` is the key of the token that it would make with the part behind it, `after[i]`
is where that part begins, and `before[i]` where the part ahead of it begins. So the least key is the next merge: the
lowest rank, and of equal ranks the one furthest to the left. Nothing is moved when parts are merged.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import inlined

TABLE_BYTES = 64  # of the longest pre-token that has a table
MOST_TOKENS = 1 << 26  # of these a rank and a place fit into a key
NO_KEY = np.uint32(0xFFFFFFFF)
NO_RANK = np.uint32(MOST_TOKENS - 1)  # of NO_KEY
_ONE = np.uint64(1)


class Parts(NamedTuple):
    """The parts of one pre-token while they are merged, by their first byte."""

    keys: npt.NDArray[np.uint32]
    after: npt.NDArray[np.uint8]
    before: npt.NDArray[np.uint8]


class MergeTable(NamedTuple):
    """What merging one short pre-token writes.

    Bit j of pairs[i] says that two neighbours came up that together are the bytes i … j.
    """

    table: npt.NDArray[np.uint32]  # [64 · 65]
    parts: Parts
    other: Parts
    dropped: npt.NDArray[np.int32]  # tokens that are not kept, each with its place in the table, [2080, 2]
    pairs: npt.NDArray[np.uint64]  # [64]


def new_merge_table() -> MergeTable:
    """Room for any pre-token of at most TABLE_BYTES."""

    def parts() -> Parts:
        after, before = np.zeros((2, TABLE_BYTES + 1), dtype=np.uint8)
        return Parts(np.empty(TABLE_BYTES, dtype=np.uint32), after, before)

    dropped = np.empty((TABLE_BYTES * (TABLE_BYTES + 1) // 2, 2), dtype=np.int32)
    table = np.empty(TABLE_BYTES * (TABLE_BYTES + 1), dtype=np.uint32)
    return MergeTable(table, parts(), parts(), dropped, np.empty(TABLE_BYTES, dtype=np.uint64))


@inlined
def fill_table(edge_starts, edge_tokens, edge_lengths, kept, first, n, table):
    """Enter the kept tokens of 2 bytes or more of the n bytes from `first` on."""
    for i in range(n):
        row = i * TABLE_BYTES
        for j in range(i + 2, n + 1):
            table[row + j] = NO_KEY
        for e in range(edge_starts[first + i], edge_starts[first + i + 1]):
            token, length = edge_tokens[e], np.int64(edge_lengths[e])
            if length > 1 and kept[token]:
                table[row + i + length] = token * TABLE_BYTES + i


@inlined
def list_tokens(edge_starts, edge_tokens, edge_lengths, candidates, first, n, dropped):
    """Write the candidates among the n bytes from `first` on, with their places in the table; returns how many."""
    n_dropped = 0
    for i in range(n):
        for e in range(edge_starts[first + i], edge_starts[first + i + 1]):
            token = edge_tokens[e]
            if candidates[token]:
                dropped[n_dropped, 0] = token
                dropped[n_dropped, 1] = i * TABLE_BYTES + i + np.int64(edge_lengths[e])
                n_dropped += 1
    return n_dropped


@inlined
def enter_places(dropped, first, n_dropped, table, is_taken_out):
    """Enter the token of dropped[first] into the table at each of its places, or take it out."""
    token = dropped[first, 0]
    for k in range(first, n_dropped):
        if dropped[k, 0] == token:
            place = np.int64(dropped[k, 1])
            key = np.uint32(token * TABLE_BYTES + (place - 1) // TABLE_BYTES)
            table[place] = NO_KEY if is_taken_out else key


@inlined
def single_bytes(table, n, keys, after, before):
    """One part a byte."""
    for i in range(n):
        after[i] = i + 1
        before[i] = i - 1 if i > 0 else 0
        keys[i] = table[i * TABLE_BYTES + i + 2] if i + 2 <= n else NO_KEY


@inlined
def least_key(keys, n):
    """The key of the next merge, or NO_KEY."""
    least = NO_KEY
    for i in range(n):
        least = min(least, keys[i])
    return least


@inlined
def merge_parts(table, n, key, without, keys, after, before):
    """Merge the two parts that a key names; the rank `without` does not exist."""
    i = np.int64(key) & (TABLE_BYTES - 1)
    second = np.int64(after[i])
    end = np.int64(after[second])
    keys[second] = NO_KEY
    after[i] = end
    made = NO_KEY
    if end < n:
        before[end] = i
        made = table[i * TABLE_BYTES + np.int64(after[end])]
    keys[i] = NO_KEY if made >> np.uint32(6) == without else made
    if i > 0:
        ahead = np.int64(before[i])
        made = table[ahead * TABLE_BYTES + end]
        keys[ahead] = NO_KEY if made >> np.uint32(6) == without else made


@inlined
def merge_to_end(table, n, n_parts, without, keys, after, before, tree):
    """Merge until no pair makes a token; the ranks that came up go to `tree`. Returns (parts, ranks in tree)."""
    n_tree = 0
    key = least_key(keys, n)
    while key != NO_KEY:
        tree[n_tree] = key >> np.uint32(6)
        n_tree += 1
        merge_parts(table, n, key, without, keys, after, before)
        key = least_key(keys, n)
    return n_parts - n_tree, n_tree


@inlined
def note_pairs(table, n, keys, after, before, pairs):
    """Merge until no pair makes a token, and note all neighbours that came up."""
    for i in range(n):
        pairs[i] = _ONE << np.uint64(min(i + 1, n - 1))
    key = least_key(keys, n)
    while key != NO_KEY:
        at = np.int64(key) & (TABLE_BYTES - 1)
        merge_parts(table, n, key, NO_RANK, keys, after, before)
        end = np.int64(after[at])
        if end < n:
            pairs[at] |= _ONE << np.uint64(np.int64(after[end]) - 1)
        if at > 0:
            pairs[np.int64(before[at])] |= _ONE << np.uint64(end - 1)
        key = least_key(keys, n)


@inlined
def has_come_up(pairs, dropped, first, n_dropped):
    """Whether two neighbours that make the token of dropped[first] have come up, at any of its places."""
    for k in range(first, n_dropped):
        place = np.int64(dropped[k, 1]) - 1
        i = place // TABLE_BYTES
        if dropped[k, 0] == dropped[first, 0] and (pairs[i] >> np.uint64(place - i * TABLE_BYTES)) & _ONE != 0:
            return True
    return False


@inlined
def copy_without(keys, after, before, n, rank, other_keys, other_after, other_before):
    """Copy parts as they would be if a rank did not exist."""
    for i in range(n):
        key = keys[i]
        other_keys[i] = NO_KEY if key >> np.uint32(6) == rank else key
        other_after[i] = after[i]
        other_before[i] = before[i]
