"""Kernels of prices: how many more tokens each pre-token needs without a token, whatever the inference method.

A ledger (`inference.Ledger`) holds what each pre-token gave to the prices. For `encode` see `loop_kernels`.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, inlined, kernel


@helper
def bit(token):
    """The place of a token in a signature, uint64."""
    return np.uint64(1) << np.uint64(token & 63)


@helper
def is_entered(ledger, first, n_priced, token):
    """Whether a token is among the n_priced entries of a ledger from `first` on."""
    for k in range(first, first + n_priced):
        if ledger.tree_tokens[k] == token:
            return True
    return False


@helper
def enter(ledger, first, n_priced, token, price):
    """Add a token to the ledger of a pre-token, unless it is there; returns how many it holds then."""
    if is_entered(ledger, first, n_priced, token):
        return n_priced
    ledger.tree_tokens[first + n_priced] = token
    ledger.tree_prices[first + n_priced] = price
    return n_priced + 1


@inlined
def price_by_trial(encode, lattice, kept, w, scratch, other, ledger):
    """Price each token of scratch.tree by encoding pre-token w once more without it: right for any method.

    Returns how many tokens pre-token w has. Writes its entries of the ledger and its signature.
    """
    n, n_tree = encode(lattice, kept, w, scratch)
    first = ledger.starts[w]
    signature = np.uint64(0)
    n_priced = 0
    for k in range(n_tree):
        token = scratch.tree[k]
        if is_entered(ledger, first, n_priced, token):
            continue
        signature |= bit(token)
        kept[token] = False
        without, n_other = encode(lattice, kept, w, other)
        kept[token] = True
        for j in range(n_other):
            signature |= bit(other.tree[j])
        n_priced = enter(ledger, first, n_priced, token, without - n)
    ledger.tree_sizes[w] = n_priced
    ledger.signatures[w] = signature
    return n


@inlined
def price_each(price, lattice, kept, counts, pending, a, b, ledger, prices, scratch, other):
    """Price again every pre-token a … b marked in `pending`, and clear its mark; returns the change in tokens.

    One that occurs 0 times is left out.
    `price` is the method's `price_by_trial` or a quicker kernel that writes the same. The price of a token in a
    pre-token is how many more tokens the pre-token needs without it (`kept` is put back as it was). What the pre-token
    gave to `prices` (int64 a token) last time is taken back first. Its signature gathers every token that the encodings
    with and without used: as long as none of them is dropped, its prices stay right.
    """
    change = np.int64(0)
    for w in range(a, b):
        if not pending[w]:
            continue
        pending[w] = False
        if counts[w] == 0:
            continue
        first = ledger.starts[w]
        for k in range(first, first + ledger.tree_sizes[w]):
            prices[ledger.tree_tokens[k]] -= counts[w] * ledger.tree_prices[k]
        n = price(lattice, kept, w, scratch, other, ledger)
        change += counts[w] * (n - ledger.sizes[w])
        ledger.sizes[w] = n
        for k in range(first, first + ledger.tree_sizes[w]):
            prices[ledger.tree_tokens[k]] += counts[w] * ledger.tree_prices[k]
    return change


@kernel
def list_holders(lattice, least_bytes, ends, holders):
    """Write to `holders` (int32) which pre-tokens hold each token of `least_bytes` or more, once for each place.

    On the first call `holders` is empty, and ends[t] (int64[n_tokens]) becomes how many places token t has. On the
    second, ends[t] is where those of token t begin, and becomes where they end.
    """
    for w in range(lattice.starts.size - 1):
        for e in range(lattice.edge_starts[lattice.starts[w]], lattice.edge_starts[lattice.starts[w + 1]]):
            if lattice.edge_lengths[e] < least_bytes:
                continue
            token = lattice.edge_tokens[e]
            if holders.size == 0:
                ends[token] += 1
            else:
                holders[ends[token]] = w
                ends[token] += 1


@kernel
def mark_affected(holders, ends, tokens, ranks, signatures, is_restored, pending):
    """Mark the pre-tokens whose prices a change of some tokens may touch.

    Token t is in the pre-tokens of `holders` from ends[t - 1] to ends[t]. `ranks` (int64) are theirs, and say where
    their bits are in `signatures`. Tokens that are restored touch every pre-token that holds them.
    """
    for k in range(tokens.size):
        mask = bit(ranks[k])
        token = tokens[k]
        for at in range(ends[token - 1] if token > 0 else 0, ends[token]):
            w = holders[at]
            if is_restored or signatures[w] & mask != 0:
                pending[w] = True


@inlined
def gain_each(encode, lattice, kept, counts, sizes, candidates, n_stable, a, b, gains, scratch, seen):
    """Add to `gains` (int64 a token) the tokens saved by restoring each candidate (bool a token, not kept) alone.

    Of pre-tokens below `n_stable`, one that is a single token cannot get any fewer. `seen` (int64 a token) is the last
    pre-token that held each token, at first -1.
    """
    for w in range(a, b):
        if counts[w] == 0 or (sizes[w] == 1 and w < n_stable):
            continue
        for e in range(lattice.edge_starts[lattice.starts[w]], lattice.edge_starts[lattice.starts[w + 1]]):
            token = lattice.edge_tokens[e]
            if not candidates[token] or seen[token] == w:
                continue
            seen[token] = w
            kept[token] = True
            n, _ = encode(lattice, kept, w, scratch)
            kept[token] = False
            gains[token] += counts[w] * (sizes[w] - n)
