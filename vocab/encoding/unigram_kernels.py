"""Kernels of the method `unigram`: the path of highest summed score, bytes for characters without a token.

Sums are whole numbers, so that they come to the same in whatever pieces a text is cut; `unigram_text_kernels` adds up
as the runtimes do.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import helper, kernel
from vocab.encoding.character_kernels import width_of
from vocab.encoding.loop_kernels import encode_each, tally_each
from vocab.encoding.merging_kernels import NONE, edges_of, find
from vocab.encoding.pricing_kernels import gain_each, price_by_trial, price_each

_UNSEEN, _UNKNOWN = np.int32(-2), np.int32(-1)


class UnigramLattice(NamedTuple):
    """A lattice with what these kernels ask of tokens; see `Lattice` and `TokenTrie`."""

    starts: npt.NDArray[np.int64]
    edge_starts: npt.NDArray[np.int64]
    edge_tokens: npt.NDArray[np.int32]
    edge_lengths: npt.NDArray[Any]
    lengths: npt.NDArray[np.int32]
    blob: npt.NDArray[np.uint8]  # the pre-tokens' bytes
    byte_tokens: npt.NDArray[np.int32]  # the token that stands for each byte, int32[256]
    units: npt.NDArray[np.int64]  # score of each token
    fuses: int  # 1 where a run of characters without a token is the token byte_tokens[0], else 0


class Scratch(NamedTuple):
    """What encoding one pre-token writes, with room for its bytes and 2 more in each array."""

    path: npt.NDArray[np.int32]  # tokens of the pre-token
    tree: npt.NDArray[np.int32]  # every token of 2 bytes or more that came up, [2 · room]
    best: npt.NDArray[np.int64]  # score of the best way to each byte
    last: npt.NDArray[np.int32]  # last token of that way, _UNKNOWN for a character without one, _UNSEEN for no way
    n_unknown: npt.NDArray[np.int32]  # characters before each byte that have no kept token


def new_scratch(room: int) -> Scratch:
    """Scratch for pre-tokens of at most `room` - 2 bytes."""
    path, last, n_unknown = (np.empty(room, dtype=np.int32) for _ in range(3))
    return Scratch(path, np.empty(2 * room, dtype=np.int32), np.empty(room, dtype=np.int64), last, n_unknown)


@helper
def _find_unknown(lattice, kept, first, n_bytes, scratch):
    """Fill scratch.n_unknown where characters begin, and at the end; returns how many tokens other characters have.

    Those of 2 bytes or more go to scratch.tree.
    """
    n_tree = n_unknown = i = 0
    while i < n_bytes:
        width = min(width_of(lattice.blob[first + i]), n_bytes - i)
        scratch.n_unknown[i] = n_unknown
        token = find(edges_of(lattice), kept, first + i, width)
        if token == NONE:
            n_unknown += 1
        elif width > 1:
            scratch.tree[n_tree] = token
            n_tree += 1
        i += width
    scratch.n_unknown[n_bytes] = n_unknown
    return n_tree


@helper
def _encode(lattice, kept, w, scratch):
    """Encode pre-token w, as `loop_kernels` says; only a strictly better way replaces one from an earlier start.

    A character without a kept token is bytes, and no token goes over it. sentencepiece would take one that does, but
    wherever each character of every piece is a piece too, which readers and writers check, there is none.
    """
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    best, last, unknown = scratch.best, scratch.last, scratch.n_unknown
    n_tree = _find_unknown(lattice, kept, first, n_bytes, scratch)
    for i in range(1, n_bytes + 1):
        last[i] = _UNSEEN
    best[0] = 0
    i = 0
    while i < n_bytes:
        width = min(width_of(lattice.blob[first + i]), n_bytes - i)
        if unknown[i + width] > unknown[i]:
            best[i + width] = best[i]
            last[i + width] = _UNKNOWN
            i += width
            continue
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            token = lattice.edge_tokens[e]
            end = i + lattice.edge_lengths[e]
            if not kept[token] or unknown[end] > unknown[i]:
                continue
            score = best[i] + lattice.units[token]
            if last[end] == _UNSEEN or score > best[end]:
                best[end] = score
                last[end] = token
        i += width
    return _write_path(lattice, first, n_bytes, n_tree, scratch)


@helper
def _add(lattice, path, n, token):
    """Put a token at path[n], unless it is the unknown one once more; returns how many there are then."""
    if lattice.fuses and n > 0 and token == lattice.byte_tokens[0] and path[n - 1] == token:
        return n
    path[n] = token
    return n + 1


@helper
def _write_path(lattice, first, n_bytes, n_tree, scratch):
    """Follow scratch.last back from the end; the tokens go to scratch.path, and after n_tree ones to scratch.tree."""
    path, last = scratch.path, scratch.last
    n, end = 0, n_bytes
    while end > 0:
        token = last[end]
        if token != _UNKNOWN:
            n = _add(lattice, path, n, token)
            end -= lattice.lengths[token]
            if lattice.lengths[token] > 1:
                scratch.tree[n_tree] = token
                n_tree += 1
            continue
        start = end - 1
        while last[start] == _UNSEEN and start > 0:
            start -= 1
        for k in range(end - 1, start - 1, -1):
            n = _add(lattice, path, n, lattice.byte_tokens[lattice.blob[first + k]])
        end = start
    for k in range(n // 2):
        path[k], path[n - 1 - k] = path[n - 1 - k], path[k]
    return n, n_tree


@helper
def _price(lattice, kept, w, scratch, other, ledger):
    return price_by_trial(_encode, lattice, kept, w, scratch, other, ledger)


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
