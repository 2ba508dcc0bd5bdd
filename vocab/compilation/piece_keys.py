"""Keys of pieces in hash tables: two words for a piece, and their hash. Kernels of every folder may use them.

Up to 15 bytes are the key, padded with NULs, with the length in the top byte, so that two words compare what bytes
would. A longer piece has its hash and its length there, and its bytes are compared.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import inlined
from vocab.compilation.words import load8

HALF = np.uint64(32)
LONG = np.uint64(0xFF << 56)  # second words from here on are of pieces of 16 bytes or more
_TOP = np.uint64(56)
_MOST_SHORT = np.uint64(15)
_MIX_KEY = np.uint64(0x9E3779B97F4A7C15)
_MIX_REST = np.uint64(0xD6E8FEB86659FD93)
# What of the first and of the second word belongs to a piece of 0 to 15 bytes.
FIRST_MASKS = np.array([(1 << 8 * min(n, 8)) - 1 for n in range(16)], dtype=np.uint64)
_SECOND_MASKS = np.array([(1 << 8 * max(n - 8, 0)) - 1 for n in range(16)], dtype=np.uint64)


@inlined
def _word(text, at, n_bytes):
    """Up to eight bytes from byte `at` as a little-endian word, near the end of `text` too."""
    value = np.uint64(0)
    for k in range(min(n_bytes, 8)):
        value |= np.uint64(text[at + k]) << np.uint64(8 * k)
    return value


@inlined
def _long_hash(text, start, length):
    """Hash of 16 bytes or more, a word at a time; the last word overlaps the one before it."""
    value = np.uint64(length)
    for k in range(start, start + length - 8, 8):
        value = (value ^ load8(text, k)) * _MIX_KEY
        value ^= value >> HALF
    value = (value ^ load8(text, start + length - 8)) * _MIX_KEY
    return value ^ (value >> HALF)


@inlined
def key_of(text, start, length):
    """The two words of the piece of `length` bytes at `start`."""
    size = np.uint64(length)
    if size > _MOST_SHORT:
        return _long_hash(text, start, length), LONG | size
    if start + 16 <= text.size:
        first, second = load8(text, start), load8(text, start + 8)
    else:
        first, second = _word(text, start, length), _word(text, start + 8, length - 8)
    first &= FIRST_MASKS[size]
    second &= _SECOND_MASKS[size]
    return first, second | (size << _TOP)


@inlined
def hash_of(first, second):
    value = (first ^ (second * _MIX_REST)) * _MIX_KEY
    value ^= value >> HALF
    value *= _MIX_REST
    return value ^ (value >> HALF)


@inlined
def equals(text, start, arena, at, length):
    """Whether two stretches of 16 bytes or more are equal."""
    for k in range(0, length - 8, 8):
        if load8(text, start + k) != load8(arena, at + k):
            return False
    return load8(text, start + length - 8) == load8(arena, at + length - 8)
