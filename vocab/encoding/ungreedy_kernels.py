"""Kernels of the method `ungreedy`: TokenMonster's look-ahead, the longest token or one of two shorter ones.

Source: `tokenize` of alasdairforsythe/tokenmonster `go/tokenmonster.go` (ea8fd60) with capcode 0. It cuts a pre-token
as TokenMonster would cut a text that is this pre-token alone. At each place there are three branches: the longest
token, and the two shorter ones that cut it at the best places (`tokenmonster_flags`), each with the longest token that
can follow. The best `_score` wins, of equal ones the first; 100 are taken off a shorter token whose branch does not
reach the end of the longest one, and 10,000 where it just reaches it. The longest token is taken unasked when it is one
whole word with a space after it, or ends the text. What follows the winner is then the longest token of the next place.

Left out are the three further branches, which need the forward delete token of capcode; what comes after the pre-token,
which to TokenMonster is a text of its own; and kinds of bytes by majority of the vocabulary's tokens (a fixed table
stands for them).
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import helper, kernel
from vocab.encoding import tokenmonster_flag_kernels as bits
from vocab.encoding.loop_kernels import encode_each, tally_each
from vocab.encoding.merging_kernels import NONE
from vocab.encoding.pricing_kernels import gain_each, price_by_trial, price_each


class UngreedyLattice(NamedTuple):
    """A lattice with what these kernels ask of tokens; see `Lattice` and `TokenFlags`."""

    starts: npt.NDArray[np.int64]
    edge_starts: npt.NDArray[np.int64]
    edge_tokens: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]
    flags: npt.NDArray[np.int32]
    cuts: npt.NDArray[np.uint8]
    token_starts: npt.NDArray[np.int64]  # where each token's cuts begin


class Scratch(NamedTuple):
    """What encoding one pre-token writes, with room for its bytes and 2 more."""

    path: npt.NDArray[np.int32]  # tokens of the pre-token
    tree: npt.NDArray[
        np.int32
    ]  # every token of 2 bytes or more that came up: without it the way may change; [6 · room]


def new_scratch(room: int) -> Scratch:
    """Scratch for pre-tokens of at most `room` - 2 bytes."""
    return Scratch(np.empty(room, dtype=np.int32), np.empty(6 * room, dtype=np.int32))


@helper
def _longest(lattice, kept, position):
    """The longest kept token at `position` that TokenMonster would have imported."""
    flags = lattice.flags
    e = lattice.edge_starts[position + 1] - 1
    while not kept[lattice.edge_tokens[e]] or flags[lattice.edge_tokens[e]] & bits.IS_TOO_LONG:
        e -= 1
    return lattice.edge_tokens[e]


@helper
def _alternatives(lattice, kept, position, token):
    """The two best kept tokens to put in the place of the longest one, or NONE: by where they cut it, then longest."""
    begin = lattice.token_starts[token]
    one, two = NONE, NONE
    best = second = 0
    for e in range(lattice.edge_starts[position], lattice.edge_starts[position + 1]):
        shorter = lattice.edge_tokens[e]
        length = lattice.lengths[shorter]
        if length >= lattice.lengths[token]:
            break
        priority = lattice.cuts[begin + length] if kept[shorter] else 0
        if priority == 0:
            continue
        if priority >= best:
            two, second = one, best
            one, best = shorter, priority
        elif priority >= second:
            two, second = shorter, priority
    return one, two


@helper
def _score(lattice, token, following, end, stop):
    """TokenMonster's score of two tokens in a row; the second ends at byte `end` of a text that ends at `stop`.

    One for each byte, each uniform token, each word begun but for the first of a token, and a space before and after
    the second; 100 for each word; less 103 where they meet within a word and 3 where the second ends within one.
    """
    flags = lattice.flags
    a, b = flags[token], flags[following]
    after = flags[lattice.edge_tokens[lattice.edge_starts[end]]] if end < stop else 0
    words_a, words_b = a >> bits.WORDS_SHIFT, b >> bits.WORDS_SHIFT
    score = lattice.lengths[token] + lattice.lengths[following]
    score += 1 if a & bits.IS_UNIFORM else 0
    score += 1 if b & bits.IS_UNIFORM else 0
    score += max(words_a - 1, 0) + max(words_b - 1, 0)
    score += 1 if b & bits.BEGINS_WITH_SPACE else 0
    score += 1 if after & bits.FIRST_IS_SPACE else 0
    score += 100 * (words_a + words_b)
    score += 100 if after & (bits.FIRST_IS_SPACE | bits.FIRST_IS_OTHER) else 0
    score -= 103 if a & bits.ENDS_WITH_LETTER and b & bits.BEGINS_WITH_LETTER else 0
    score -= 3 if b & bits.ENDS_WITH_LETTER and after & bits.FIRST_IS_LETTER else 0
    return score


@helper
def _note(lattice, token, n_tree, scratch):
    """Add a token that came up to scratch.tree; returns how many it holds then."""
    if lattice.lengths[token] == 1:
        return n_tree
    scratch.tree[n_tree] = token
    return n_tree + 1


@helper
def _encode(lattice, kept, w, scratch):
    """Encode pre-token w, as `loop_kernels` says."""
    flags, lengths = lattice.flags, lattice.lengths
    position, stop = lattice.starts[w], lattice.starts[w + 1]
    token = _longest(lattice, kept, position)
    n, n_tree = 0, _note(lattice, token, 0, scratch)
    while True:
        end = position + lengths[token]
        if end == stop:
            scratch.path[n] = token
            return n + 1, n_tree
        chosen, following = token, _longest(lattice, kept, end)
        n_tree = _note(lattice, following, n_tree, scratch)
        after = flags[lattice.edge_tokens[lattice.edge_starts[end]]]
        if not (flags[token] & bits.IS_PLAIN_WORD and after & bits.FIRST_IS_SPACE):
            best = _score(lattice, token, following, end + lengths[following], stop)
            for shorter in _alternatives(lattice, kept, position, token):
                if shorter == NONE:
                    break
                cut = position + lengths[shorter]
                other = _longest(lattice, kept, cut)
                reach = cut + lengths[other]
                n_tree = _note(lattice, shorter, n_tree, scratch)
                n_tree = _note(lattice, other, n_tree, scratch)
                score = _score(lattice, shorter, other, reach, stop)
                score -= 10_000 if reach == end else 100 if reach < end else 0
                if score > best:
                    best, chosen, following = score, shorter, other
        scratch.path[n] = chosen
        n += 1
        position += lengths[chosen]
        token = following


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
