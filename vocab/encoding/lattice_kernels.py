"""Kernels that build a trie of tokens, and walk it at every byte of pre-tokens.

Tokens and pre-tokens are blob uint8 and starts int64[n + 1]. A trie is a hash table: `keys` int64 and `children` int32
by slot, `node_token` int32 a node (-1 for none), `root` int32[256] (the root's child for each byte, -1 for none).
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, kernel

_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(31)


@helper
def find_child(keys, node, byte):
    """Slot of the edge (node, byte) in the open-addressing table, or of the free place where it belongs."""
    mask = np.uint64(keys.size - 1)
    key = np.int64(node) * 256 + byte
    slot = ((np.uint64(key) * _MIX) >> _SHIFT) & mask
    while keys[slot] >= 0 and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@kernel
def build_trie(blob, starts, keys, children, node_token, first):
    """Insert tokens from `first` on; returns the number of nodes, or -1 - t when token t repeats an earlier one."""
    n_nodes = 1
    for t in range(first, starts.size - 1):
        node = 0
        for p in range(starts[t], starts[t + 1]):
            slot = find_child(keys, node, blob[p])
            if keys[slot] < 0:
                keys[slot] = np.int64(node) * 256 + blob[p]
                children[slot] = n_nodes
                n_nodes += 1
            node = children[slot]
        if node_token[node] >= 0:
            return -1 - t
        node_token[node] = t
    return n_nodes


@kernel
def fill_edges(
    blob, starts, first, last, keys, children, node_token, root, edge_starts, edge_tokens, edge_lengths, filling
):
    """Count (into edge_starts[p + 1]) or fill the edges of pre-tokens first … last."""
    for w in range(first, last):
        end = starts[w + 1]
        for p in range(starts[w], end):
            at = edge_starts[p] if filling else 0
            node = root[blob[p]]
            q = p + 1
            while node >= 0:
                token = node_token[node]
                if token >= 0:
                    if filling:
                        edge_tokens[at] = token
                        edge_lengths[at] = q - p
                    at += 1
                if q == end:
                    break
                slot = find_child(keys, node, blob[q])
                node = children[slot] if keys[slot] >= 0 else -1
                q += 1
            if not filling:
                edge_starts[p + 1] = at


@kernel
def mark_cuts(blob, starts, first, last, max_bytes, keep_whole, keys, children, node_token, root, is_end):
    """Mark in is_end the last byte of each segment of pre-tokens first … last."""
    for w in range(first, last):
        end = starts[w + 1]
        begin = starts[w]
        reach = end if keep_whole else begin
        for p in range(starts[w], end):
            if p > begin and (p >= reach or p - begin == max_bytes):
                is_end[p - 1] = True
                begin = p
            node = root[blob[p]]
            q = p + 1
            while node >= 0:
                if node_token[node] >= 0:
                    reach = max(reach, q)
                if q == end:
                    break
                slot = find_child(keys, node, blob[q])
                node = children[slot] if keys[slot] >= 0 else -1
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
def count_occurrences(
    blob, starts, first, last, keys, children, node_token, root, counts, documents, n_found, n_documents, seen
):
    """Add to n_found and n_documents what pre-tokens first … last hold of each token; seen[t] is the last that did."""
    for w in range(first, last):
        end = starts[w + 1]
        for p in range(starts[w], end):
            node = root[blob[p]]
            q = p + 1
            while node >= 0:
                token = node_token[node]
                if token >= 0:
                    n_found[token] += counts[w]
                    if seen[token] != w:
                        seen[token] = w
                        n_documents[token] += documents[w]
                if q == end:
                    break
                slot = find_child(keys, node, blob[q])
                node = children[slot] if keys[slot] >= 0 else -1
                q += 1
