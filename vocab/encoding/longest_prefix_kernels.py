"""Kernels of the methods `longest-prefix` and `wordpiece`: the longest token at each place, from the left.

Under wordpiece a pre-token with a place that no token begins at is the unknown token, number 0, as a whole.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import helper, kernel
from vocab.encoding.loop_kernels import encode_each, tally_each
from vocab.encoding.pricing_kernels import gain_each, price_by_trial, price_each


class Scratch(NamedTuple):
    """What encoding one pre-token writes, with room for its bytes and 2 more in each array."""

    path: npt.NDArray[np.int32]  # tokens of the pre-token
    tree: npt.NDArray[np.int32]  # those of 2 bytes or more


def new_scratch(room: int) -> Scratch:
    """Scratch for pre-tokens of at most `room` - 2 bytes."""
    return Scratch(np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32))


@helper
def _encode(lattice, kept, w, scratch):
    """Encode pre-token w, as `loop_kernels` says."""
    n = n_tree = 0
    position, stop = lattice.starts[w], lattice.starts[w + 1]
    while position < stop:
        first, e = lattice.edge_starts[position], lattice.edge_starts[position + 1] - 1
        while e >= first and not kept[lattice.edge_tokens[e]]:
            e -= 1
        if e < first:
            scratch.path[0] = 0
            return 1, 0
        scratch.path[n] = lattice.edge_tokens[e]
        n += 1
        if lattice.edge_lengths[e] > 1:
            scratch.tree[n_tree] = lattice.edge_tokens[e]
            n_tree += 1
        position += lattice.edge_lengths[e]
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
    n_stable = sizes.size
    gain_each(_encode, lattice, kept, counts, sizes, candidates, n_stable, a, b, gains, scratch, seen)
