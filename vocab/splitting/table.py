"""A table of distinct pre-tokens with counts: open addressing over one arena of bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from vocab.arrays import Scalar, frozen

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0x9E3779B97F4A7C15)


@njit(nogil=True, cache=True)
def _hash(text, start, end):
    """FNV-1a with a final multiplication, so that its high bits are as good as its low ones."""
    value = _FNV_OFFSET
    for k in range(start, end):
        value = (value ^ np.uint64(text[k])) * _FNV_PRIME
    return (value ^ (value >> np.uint64(32))) * _MIX


@njit(nogil=True, cache=True)
def _equals(text, start, arena, at, length):
    for k in range(length):
        if text[start + k] != arena[at + k]:
            return False
    return True


@njit(nogil=True, cache=True)
def _add_pieces(text, ends, weights, arena, starts, counts, hashes, slots, n_entries, entries):
    """Count each piece text[ends[k-1]:ends[k]] with weights[k]; writes its entry to entries[k], returns n_entries."""
    mask = np.uint64(slots.size - 1)
    start = 0
    for k in range(ends.size):
        end = ends[k]
        value = _hash(text, start, end)
        slot = value & mask
        length = end - start
        while True:
            entry = slots[slot]
            if entry < 0:
                entry = n_entries
                slots[slot] = entry
                hashes[entry] = value
                at = starts[entry]
                arena[at : at + length] = text[start:end]
                starts[entry + 1] = at + length
                counts[entry] = 0
                n_entries += 1
                break
            at = starts[entry]
            same = hashes[entry] == value and starts[entry + 1] - at == length
            if same and _equals(text, start, arena, at, length):
                break
            slot = (slot + np.uint64(1)) & mask
        counts[entry] += weights[k]
        entries[k] = entry
        start = end
    return n_entries


@njit(nogil=True, cache=True)
def _refill(slots, hashes, n_entries):
    mask = np.uint64(slots.size - 1)
    for entry in range(n_entries):
        slot = hashes[entry] & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = entry


def _grown(array: npt.NDArray[Scalar], n_used: int, n_needed: int) -> npt.NDArray[Scalar]:
    if n_needed <= array.size:
        return array
    larger = np.empty(max(n_needed, array.size * 3 // 2), dtype=array.dtype)
    larger[:n_used] = array[:n_used]
    return larger


class PretokenTable:
    """Distinct byte strings in order of first appearance, each with a uint64 count.

    Memory: the bytes of the distinct pre-tokens, and about 40 bytes for each of them.
    """

    def __init__(self) -> None:
        self.n_entries = 0
        self._arena = np.empty(1 << 16, dtype=np.uint8)
        self._starts = np.zeros(1 << 12, dtype=np.int64)
        self._counts = np.empty(1 << 12, dtype=np.uint64)
        self._hashes = np.empty(1 << 12, dtype=np.uint64)
        self._slots = np.full(1 << 13, -1, dtype=np.int32)

    @property
    def blob(self) -> npt.NDArray[np.uint8]:
        """The distinct pre-tokens end to end, uint8."""
        return self._arena[: self._starts[self.n_entries]]

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each begins in `blob`, int64[n_entries + 1]."""
        return self._starts[: self.n_entries + 1]

    @property
    def counts(self) -> npt.NDArray[np.uint64]:
        """How often each was added, uint64[n_entries]."""
        return self._counts[: self.n_entries]

    def add(
        self,
        text: npt.NDArray[np.uint8],
        ends: npt.NDArray[np.int64],
        weights: npt.NDArray[np.uint64] | None = None,
    ) -> npt.NDArray[np.int32]:
        """Count the pieces of `text` that stop at `ends`; returns the entry of each, int32[len(ends)]."""
        if weights is None:
            weights = np.ones(ends.size, dtype=np.uint64)
        self._reserve(text.size, ends.size)
        entries = np.empty(ends.size, dtype=np.int32)
        self.n_entries = int(
            _add_pieces(
                frozen(text),
                frozen(ends),
                frozen(weights),
                self._arena,
                self._starts,
                self._counts,
                self._hashes,
                self._slots,
                self.n_entries,
                entries,
            )
        )
        return entries

    def _reserve(self, n_bytes: int, n_pieces: int) -> None:
        n = self.n_entries
        used = int(self._starts[n])
        self._arena = _grown(self._arena, used, used + n_bytes)
        self._starts = _grown(self._starts, n + 1, n + n_pieces + 1)
        self._counts = _grown(self._counts, n, n + n_pieces)
        self._hashes = _grown(self._hashes, n, n + n_pieces)
        wanted = 1 << (2 * (n + n_pieces) - 1).bit_length()
        if wanted > self._slots.size:
            self._slots = np.full(wanted, -1, dtype=np.int32)
            _refill(self._slots, self._hashes, n)
