"""XXH64 of documents, which decides what is held out: by the text alone, whatever file or machine it is read on.

Specification: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md. The package `xxhash` gives the same.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, inlined, kernel
from vocab.compilation.words import load8

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)
_64 = np.uint64(64)


@inlined
def _rotate(x, n):
    return (x << np.uint64(n)) | (x >> (_64 - np.uint64(n)))


@inlined
def _round(accumulator, word):
    return _rotate(accumulator + word * _P2, 31) * _P1


@inlined
def _merge(value, accumulator):
    return (value ^ _round(np.uint64(0), accumulator)) * _P1 + _P4


@helper
def _xxh64(text, i, end):
    """XXH64 with seed 0 of text[i:end]."""
    length = np.uint64(end - i)
    value = _P5
    if end - i >= 32:
        a, b, c, d = _P1 + _P2, _P2, np.uint64(0), np.uint64(0) - _P1
        while i + 32 <= end:
            a, b = _round(a, load8(text, i)), _round(b, load8(text, i + 8))
            c, d = _round(c, load8(text, i + 16)), _round(d, load8(text, i + 24))
            i += 32
        value = _rotate(a, 1) + _rotate(b, 7) + _rotate(c, 12) + _rotate(d, 18)
        value = _merge(_merge(_merge(_merge(value, a), b), c), d)
    value += length
    while i + 8 <= end:
        value = _rotate(value ^ _round(np.uint64(0), load8(text, i)), 27) * _P1 + _P4
        i += 8
    if i + 4 <= end:
        half = np.uint64(text[i]) | np.uint64(text[i + 1]) << np.uint64(8)
        half |= np.uint64(text[i + 2]) << np.uint64(16) | np.uint64(text[i + 3]) << np.uint64(24)
        value = _rotate(value ^ (half * _P1), 23) * _P2 + _P3
        i += 4
    while i < end:
        value = _rotate(value ^ (np.uint64(text[i]) * _P5), 11) * _P1
        i += 1
    value = (value ^ (value >> np.uint64(33))) * _P2
    value = (value ^ (value >> np.uint64(29))) * _P3
    return value ^ (value >> np.uint64(32))


@kernel
def hash_documents(text, starts, hashes):
    """Write XXH64 (seed 0) of each document text[starts[d]:starts[d + 1]] (uint8, int64) to hashes (uint64)."""
    for d in range(starts.size - 1):
        hashes[d] = _xxh64(text, starts[d], starts[d + 1])
