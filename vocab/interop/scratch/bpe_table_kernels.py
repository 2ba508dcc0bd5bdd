"""Kernels of what training BPE counts and makes: pairs with their counts, and tokens."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import helper, inlined, kernel

# Places in `state`.
N_TOKENS = 0
N_PAIRS = 1
N_ENTRIES = 2
N_HEAP = 3
N_MERGES = 4
LONGEST = 5  # bytes of the longest token
LEAST = 6  # counts from this on are in the heap; entries of smaller ones wait outside it
N_TOUCHED = 7
N_LOGGED = 8
N_STATE = 9

FREE = np.int64(-1)  # a slot without a pair
_MIXER = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


class Pairs(NamedTuple):
    """How often each pair occurs: open addressing, both [a power of two]. A pair is first << 32 | second."""

    keys: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


class Tokens(NamedTuple):
    """Bytes of all tokens, and a table by which one is found."""

    blob: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]  # [room + 1]
    table: npt.NDArray[np.int32]  # id + 1, or 0 where free, [a power of two]


@inlined
def slot_of(keys, key):
    """The slot of a pair, or the free one where it would be."""
    mask = np.uint64(keys.size - 1)
    value = np.uint64(key) * _MIXER
    slot = (value ^ (value >> _HALF)) & mask
    while keys[slot] != key and keys[slot] != FREE:
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)


@inlined
def slot_made(keys, counts, key, state):
    """The slot of a pair, which is made where there is none."""
    slot = slot_of(keys, key)
    if keys[slot] == FREE:
        keys[slot] = key
        counts[slot] = 0
        state[N_PAIRS] += 1
    return slot


@kernel
def move_pairs(old, new):
    """Fill the free table `new` with the pairs of `old`."""
    for slot in range(old.keys.size):
        if old.keys[slot] != FREE:
            at = slot_of(new.keys, old.keys[slot])
            new.keys[at] = old.keys[slot]
            new.counts[at] = old.counts[slot]


@helper
def _add_token(tokens, state):
    """The id of the bytes behind the last token: that of an equal token, or else a new one.

    tokens.starts[n_tokens + 1] says where they stop.
    """
    blob, starts, table = tokens.blob, tokens.starts, tokens.table
    new = state[N_TOKENS]
    start, stop = starts[new], starts[new + 1]
    value = np.uint64(stop - start)
    for k in range(start, stop):
        value = (value ^ np.uint64(blob[k])) * _MIXER
        value ^= value >> _HALF
    slot = value & np.uint64(table.size - 1)
    while table[slot] != 0:
        other = table[slot] - 1
        at, length = starts[other], starts[other + 1] - starts[other]
        k = 0
        while length == stop - start and k < length and blob[at + k] == blob[start + k]:
            k += 1
        if k == stop - start:
            return np.int64(other)
        slot = (slot + np.uint64(1)) & np.uint64(table.size - 1)
    table[slot] = new + 1
    state[N_TOKENS] += 1
    state[LONGEST] = max(state[LONGEST], stop - start)
    return new


@kernel
def add_bytes(tokens, byte_of_id, state):
    """Make the first 256 tokens, single bytes (uint8[256])."""
    for k in range(byte_of_id.size):
        tokens.blob[k] = byte_of_id[k]
        tokens.starts[k + 1] = k + 1
        _add_token(tokens, state)


@helper
def add_merged(tokens, first, second, state):
    """The id of two tokens end to end."""
    blob, starts = tokens.blob, tokens.starts
    at = starts[state[N_TOKENS]]
    for token in (first, second):
        for k in range(starts[token], starts[token + 1]):
            blob[at] = blob[k]
            at += 1
    starts[state[N_TOKENS] + 1] = at
    return _add_token(tokens, state)
