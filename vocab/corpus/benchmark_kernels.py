"""Normalised words of UTF-8 text, and runs of them that occur in benchmarks, as kernels.

A text is a polynomial over the hashes of its words, modulo 2^64. The difference of two of its beginnings is the hash of
the run of words between them (Rabin & Karp 1987), so a run of any length takes one product.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, inlined, kernel

# What a code point is to words, one byte each in `kinds`.
LEFT_OUT, PART, SPACE, ALONE = 0, 1, 2, 3

_PRIME = np.uint64(0x100000001B3)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_START = np.uint64(0xCBF29CE484222325)
_MULTIPLIER = np.uint64(0xFF51AFD7ED558CCD)
_33 = np.uint64(33)


@inlined
def _mixed(x):
    x = (x ^ (x >> _33)) * _MULTIPLIER
    return x ^ (x >> _33)


@inlined
def _decoded(text, i):
    """The code point that begins at byte `i` of valid UTF-8, and the byte after it."""
    b = np.int64(text[i])
    if b < 0x80:
        return b, i + 1
    if b < 0xE0:
        return (b & 31) << 6 | np.int64(text[i + 1] & 63), i + 2
    if b < 0xF0:
        return (b & 15) << 12 | np.int64(text[i + 1] & 63) << 6 | np.int64(text[i + 2] & 63), i + 3
    high = (b & 7) << 18 | np.int64(text[i + 1] & 63) << 12
    return high | np.int64(text[i + 2] & 63) << 6 | np.int64(text[i + 3] & 63), i + 4


@helper
def _next_word(text, i, end, kinds, lowered):
    """The hash of the next word from byte `i` on, and the byte after it; the hash is 0 when there is none."""
    value, began = _START, False
    while i < end:
        code, after = _decoded(text, i)
        kind = kinds[code]
        if kind == PART:
            value, began = (value ^ np.uint64(lowered[code])) * _PRIME, True
        elif kind == ALONE:
            if not began:
                return after, _mixed((value ^ np.uint64(code)) * _PRIME) | np.uint64(1)
            break
        elif kind == SPACE and began:
            break
        i = after
    return i, (_mixed(value) | np.uint64(1)) if began else np.uint64(0)


@inlined
def _run_hash(beginnings, n_words, n, power):
    """The hash of the last `n` of so many words; `power` is the base to the n-th."""
    value = beginnings[n_words & 31] - beginnings[(n_words - n) & 31] * power
    return _mixed(value ^ np.uint64(n)) | np.uint64(1)


@inlined
def _add_word(beginnings, n_words, word):
    """Write the polynomial of the first n_words + 1 words to its place in a ring of 32."""
    beginnings[(n_words + 1) & 31] = beginnings[n_words & 31] * _BASE + word


@inlined
def _power(n):
    value = np.uint64(1)
    for _ in range(n):
        value *= _BASE
    return value


@kernel
def write_runs(text, first, end, kinds, lowered, shortest, longest, beginnings, hashes):
    """Write the hashes of all runs of `longest` words of text[first:end] to `hashes`.

    A text of fewer words is one run, if it has `shortest` of them.

    Args:
        text: uint8, valid UTF-8.
        first, end: bytes of the text.
        kinds: uint8[0x110000], what each code point is.
        lowered: int32[0x110000], the small letter of each code point.
        shortest, longest: words of a run; at most 31.
        beginnings: uint64[32], scratch.
        hashes: uint64, one for each word at most.

    Returns:
        How many hashes, and the number of words in each: 0 for a text that is too short.
    """
    beginnings[0] = 0
    n_words, n, i, power = 0, 0, first, _power(longest)
    while True:
        i, word = _next_word(text, i, end, kinds, lowered)
        if word == 0:
            break
        _add_word(beginnings, n_words, word)
        n_words += 1
        if n_words >= longest:
            hashes[n] = _run_hash(beginnings, n_words, longest, power)
            n += 1
    if n:
        return n, longest
    if n_words < shortest:
        return 0, 0
    hashes[0] = _run_hash(beginnings, n_words, n_words, _power(n_words))
    return 1, n_words


@kernel
def fill_slots(hashes, slots):
    """Put hashes (uint64, none 0) into a table of a power of two slots, of which 0 are free."""
    mask = np.uint64(slots.size - 1)
    for value in hashes:
        at = value & mask
        while slots[at] != 0 and slots[at] != value:
            at = (at + np.uint64(1)) & mask
        slots[at] = value


@inlined
def _is_in(value, slots):
    mask = np.uint64(slots.size - 1)
    at = value & mask
    while slots[at] != 0:
        if slots[at] == value:
            return True
        at = (at + np.uint64(1)) & mask
    return False


@kernel
def mark_matches(text, starts, kinds, lowered, lengths, powers, slots, beginnings, matches):
    """Mark the documents that hold a run of words of the table.

    Args:
        text: uint8, valid UTF-8 of all documents end to end.
        starts: int64[n_documents + 1], where each begins, and the end.
        kinds, lowered: as for `write_runs`.
        lengths: int64, the numbers of words of the runs.
        powers: uint64, scratch of their size.
        slots: uint64, the table.
        beginnings: uint64[32], scratch.
        matches: bool[n_documents], written.
    """
    for k in range(lengths.size):
        powers[k] = _power(lengths[k])
    for d in range(starts.size - 1):
        i, end, n_words, found = starts[d], starts[d + 1], 0, False
        beginnings[0] = 0
        while not found:
            i, word = _next_word(text, i, end, kinds, lowered)
            if word == 0:
                break
            _add_word(beginnings, n_words, word)
            n_words += 1
            for k in range(lengths.size):
                n = lengths[k]
                if n_words >= n and _is_in(_run_hash(beginnings, n_words, n, powers[k]), slots):
                    found = True
                    break
        matches[d] = found
