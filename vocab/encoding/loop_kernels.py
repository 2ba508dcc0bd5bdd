"""Kernels over many pre-tokens, whatever the inference method: `encode` is the kernel of the method.

It is called as encode(lattice, kept, w, scratch) with `kept` bool[n_tokens], all single bytes kept. It writes the
tokens of pre-token w to scratch.path, and to scratch.tree every token of 2 bytes or more that came up on the way, some
more than once. It returns how many tokens are in each.

Kernels that are given a kernel are `inlined`: Numba keeps no kernel on disk that hands one on when it runs.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import inlined, kernel


@inlined
def encode_each(encode, lattice, kept, leaves_out, a, b, ids, sizes, scratch):
    """Encode pre-tokens a … b: the tokens of w to ids[starts[w]:] (int32, a place a byte), how many to sizes[w].

    With `leaves_out`, pre-token w is token w of the vocabulary, and is encoded without that token unless it is a byte.
    """
    for w in range(a, b):
        first = lattice.starts[w]
        leaves_out_now = leaves_out and lattice.starts[w + 1] - first > 1
        if leaves_out_now:
            kept[w] = False
        n, _ = encode(lattice, kept, w, scratch)
        if leaves_out_now:
            kept[w] = True
        sizes[w] = n
        for k in range(n):
            ids[first + k] = scratch.path[k]


@inlined
def tally_each(encode, lattice, kept, counts, a, b, uses, scratch):
    """Encode pre-tokens a … b whose count is not 0: adds to `uses` (int64 a token), returns how many tokens in all."""
    total = np.int64(0)
    for w in range(a, b):
        if counts[w] == 0:
            continue
        n, _ = encode(lattice, kept, w, scratch)
        total += counts[w] * n
        for k in range(n):
            uses[scratch.path[k]] += counts[w]
    return total


@kernel
def count_uses(starts, ids, sizes, counts, uses):
    """Add to `uses` (int64 a token) how often each token occurs, from what `encode_each` wrote and the counts."""
    for w in range(sizes.size):
        for k in range(starts[w], starts[w] + sizes[w]):
            uses[ids[k]] += counts[w]
