"""Kernels that build a trie of tokens, and walk it at every byte of pre-tokens.

Tokens and pre-tokens are blob uint8 and starts int64[n + 1]. A trie is a hash table, int64[n_slots, 2]: in each row
the key of an edge, which is node · 256 + byte, or -1, and what the edge leads to. `root` int64[256] is what the edges
of the root lead to. That is child << 32 | token + 1, in one row because a walk waits for memory, or 0 for nothing. The
child is 0 where no token goes on from there, and token + 1 is 0 where none ends.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, kernel

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(31)


@helper
def _first_slot(node, byte, n_slots):
    """Where the search for the edge (node, byte) begins."""
    return ((np.uint64(np.int64(node) * 256 + byte) * _MIX) >> _SHIFT) & np.uint64(n_slots - 1)


@helper
def lead(table, node, byte):
    """What the edge (node, byte) leads to, 0 for nothing."""
    key = np.int64(node) * 256 + byte
    slot = _first_slot(node, byte, table.shape[0])
    while table[slot, 0] != key:
        if table[slot, 0] < 0:
            return np.int64(0)
        slot = (slot + np.uint64(1)) & np.uint64(table.shape[0] - 1)
    return table[slot, 1]


@helper
def token_of(led):
    """The token that ends where an edge leads to, or -1."""
    return (led & 0xFFFFFFFF) - 1


@helper
def child_of(led):
    """The node where an edge leads to, or 0 where no token goes on."""
    return led >> 32


@kernel
def build_trie(blob, starts, table, node_token, has_children, first):
    """Insert tokens from `first` on, with children alone; returns the number of nodes, or -1 - t when token t repeats.

    `node_token` int32 and `has_children` bool are by node.
    """
    n_nodes = 1
    for t in range(first, starts.size - 1):
        node = 0
        for p in range(starts[t], starts[t + 1]):
            key = np.int64(node) * 256 + blob[p]
            slot = _first_slot(node, blob[p], table.shape[0])
            while table[slot, 0] >= 0 and table[slot, 0] != key:
                slot = (slot + np.uint64(1)) & np.uint64(table.shape[0] - 1)
            if table[slot, 0] < 0:
                table[slot, 0] = key
                table[slot, 1] = n_nodes
                has_children[node] = True
                n_nodes += 1
            node = table[slot, 1]
        if node_token[node] >= 0:
            return -1 - t
        node_token[node] = t
    return n_nodes


@kernel
def pack_trie(loose, node_token, has_children, table, root):
    """Fill the table of a trie, whose keys are all -1, and `root`, all 0, from what `build_trie` made."""
    for k in range(loose.shape[0]):
        key, child = loose[k, 0], loose[k, 1]
        if key < 0:
            continue
        led = np.int64(node_token[child]) + 1
        if has_children[child]:
            led |= child << 32
        if key < 256:  # the key of byte b below the root, which is node 0, is b
            root[key] = led
        slot = _first_slot(key >> 8, key & 255, table.shape[0])
        while table[slot, 0] >= 0:
            slot = (slot + np.uint64(1)) & np.uint64(table.shape[0] - 1)
        table[slot, 0] = key
        table[slot, 1] = led


@kernel
def fill_edges(blob, starts, first, last, table, root, begin, end, edge_starts, edge_tokens, edge_lengths):
    """Write the edges of pre-tokens first … last to places begin … end, and how many there are up to each byte.

    Byte p has its number at edge_starts[p + 1]. Returns how many there are in all; those without a place are left out.
    """
    at = begin
    for w in range(first, last):
        stop = starts[w + 1]
        for p in range(starts[w], stop):
            led = root[blob[p]]
            q = p + 1
            while led != 0:
                token = token_of(led)
                if token >= 0:
                    if at < end:
                        edge_tokens[at] = token
                        edge_lengths[at] = q - p
                    at += 1
                node = child_of(led)
                if node == 0 or q == stop:
                    break
                led = lead(table, node, blob[q])
                q += 1
            edge_starts[p + 1] = at - begin
    return at - begin


@kernel
def mark_cuts(blob, starts, first, last, max_bytes, keep_whole, table, root, is_end):
    """Mark in is_end the last byte of each segment of pre-tokens first … last."""
    for w in range(first, last):
        end = starts[w + 1]
        begin = starts[w]
        reach = end if keep_whole else begin
        for p in range(starts[w], end):
            if p > begin and (p >= reach or p - begin == max_bytes):
                is_end[p - 1] = True
                begin = p
            if reach == end:
                continue  # no cut depends on what begins here
            led = root[blob[p]]
            q = p + 1
            while led != 0:
                if token_of(led) >= 0:
                    reach = max(reach, q)
                node = child_of(led)
                if node == 0 or q == end:
                    break
                led = lead(table, node, blob[q])
                q += 1
        if end > starts[w]:
            is_end[end - 1] = True


@kernel
def count_ends(is_end, starts, n_ends):
    """Write to n_ends (int64) how many bytes of each pre-token are marked."""
    for w in range(starts.size - 1):
        n = 0
        for p in range(starts[w], starts[w + 1]):
            n += is_end[p]
        n_ends[w] = n


@kernel
def sum_segments(rows, counts, entries, firsts, sums):
    """Add to sums[s] (int64) how often segment s occurs in pre-tokens rows[k] that occur counts[k] times."""
    for k in range(rows.size):
        for at in range(firsts[rows[k]], firsts[rows[k] + 1]):
            sums[entries[at]] += np.int64(counts[k])


@kernel
def count_occurrences(blob, starts, first, last, table, root, counts, documents, n_found, n_documents, seen):
    """Add to n_found and n_documents what pre-tokens first … last hold of each token; seen[t] is the last that did."""
    for w in range(first, last):
        end = starts[w + 1]
        for p in range(starts[w], end):
            led = root[blob[p]]
            q = p + 1
            while led != 0:
                token = token_of(led)
                if token >= 0:
                    n_found[token] += counts[w]
                    if seen[token] != w:
                        seen[token] = w
                        n_documents[token] += documents[w]
                node = child_of(led)
                if node == 0 or q == end:
                    break
                led = lead(table, node, blob[q])
                q += 1
