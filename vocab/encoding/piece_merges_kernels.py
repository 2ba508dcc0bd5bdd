"""Merges of one piece of text without a lattice, for pieces seen for the first time; tokens as `merges_kernels` gives.

Tokens are looked up by their bytes in a hash table: `slots` uint64[a power of two] (the upper half of a hash, and the
token plus 1; 0 where free), `keys` uint64[n_tokens, 2], and the tokens themselves, blob uint8 and starts int64[n + 1].
`marks` uint64[a power of two] has a bit for each of many more hashes, is small enough for the processor's cache, and
says of most bytes that they are no token.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, inlined, kernel
from vocab.compilation.piece_keys import HALF, LONG, equals, hash_of, key_of
from vocab.encoding.merging_kernels import NONE

# Rows of `work`, int32[3, longest piece + 2]: of each part its token and its first byte, and the token that it makes
# with the part after it.
PATH = 0
_BEGINS = 1
_PAIRS = 2
N_ROWS = 3

_NOTHING = np.uint64(0)
_ONE = np.uint64(1)
_LOW = np.uint64(0xFFFFFFFF)
_PLACES = np.uint64(63)
_TOP = np.uint64(38)


@inlined
def mark_of(value, marks):
    """Which word of `marks` has the bit of a hash; its place there is in the lowest six bits of the upper half."""
    return value >> _TOP & np.uint64(marks.size - 1)


@kernel
def fill_tokens(blob, starts, slots, keys, marks, singles, pairs):
    """Fill a table with tokens, and `singles` int32[256] and `pairs` int32[65536] with those of one and two bytes."""
    mask = np.uint64(slots.size - 1)
    for token in range(starts.size - 1):
        at, length = starts[token], starts[token + 1] - starts[token]
        first, second = key_of(blob, at, length)
        keys[token, 0], keys[token, 1] = first, second
        value = hash_of(first, second)
        slot = value & mask
        while slots[slot] != _NOTHING:
            slot = (slot + _ONE) & mask
        slots[slot] = value >> HALF << HALF | np.uint64(token + 1)
        marks[mark_of(value, marks)] |= _ONE << (value >> HALF & _PLACES)
        if length == 1:
            singles[blob[at]] = token
        elif length == 2:
            pairs[np.int64(blob[at]) << 8 | blob[at + 1]] = token


@helper
def _token_of(text, start, length, blob, starts, slots, keys, marks):
    """The token whose bytes are these, or NONE."""
    first, second = key_of(text, start, length)
    mask = np.uint64(slots.size - 1)
    value = hash_of(first, second)
    if marks[mark_of(value, marks)] >> (value >> HALF & _PLACES) & _ONE == _NOTHING:
        return NONE
    slot = value & mask
    while slots[slot] != _NOTHING:
        if slots[slot] >> HALF == value >> HALF:
            token = (slots[slot] & _LOW) - _ONE
            if keys[token, 0] == first and keys[token, 1] == second:
                if second < LONG or equals(text, start, blob, starts[token], length):
                    return np.int32(token)
        slot = (slot + _ONE) & mask
    return NONE


@inlined
def _start_parts(text, start, n_bytes, singles, pairs, work):
    """One part a byte, and the token of each pair of neighbours; whether every byte has a token."""
    for i in range(n_bytes):
        token = singles[text[start + i]]
        if token == NONE:
            return False
        work[PATH, i], work[_BEGINS, i] = token, i
        work[_PAIRS, i] = NONE
    for i in range(n_bytes - 1):
        work[_PAIRS, i] = pairs[np.int64(text[start + i]) << 8 | text[start + i + 1]]
    work[_BEGINS, n_bytes] = n_bytes
    return True


@helper
def merge_piece(text, start, n_bytes, blob, starts, slots, keys, marks, singles, pairs, work):
    """Write the tokens of a piece to work[PATH]; returns how many, or 0 where a byte of it has no token."""
    whole = _token_of(text, start, n_bytes, blob, starts, slots, keys, marks)
    if whole != NONE:
        work[PATH, 0] = whole
        return 1
    if not _start_parts(text, start, n_bytes, singles, pairs, work):
        return 0
    n = n_bytes
    while n > 1:
        least = np.int64(NONE) << 32
        for i in range(n - 1):
            least = min(least, np.int64(work[_PAIRS, i]) << 32 | i)
        if least >> 32 == NONE:
            break
        best = np.int64(least) & 0xFFFF
        work[PATH, best] = work[_PAIRS, best]
        n -= 1
        for i in range(best + 1, n):
            work[PATH, i], work[_PAIRS, i] = work[PATH, i + 1], work[_PAIRS, i + 1]
            work[_BEGINS, i] = work[_BEGINS, i + 1]
        work[_BEGINS, n] = n_bytes
        work[_PAIRS, n - 1] = NONE
        for i in range(best - (best > 0), best + (best + 1 < n)):
            first = work[_BEGINS, i]
            length = work[_BEGINS, i + 2] - first
            work[_PAIRS, i] = _token_of(text, start + first, length, blob, starts, slots, keys, marks)
    return n
