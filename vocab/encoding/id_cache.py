"""Ids of pieces that were encoded before: text repeats its words, and looking them up is faster than encoding them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.arrays import Scalar
from vocab.encoding import id_cache_kernels as kernels
from vocab.encoding.piece_merges_kernels import N_ROWS
from vocab.errors import TargetError

# Memory for each thread that encodes at the same time.
CACHE_BYTES = 64 << 20
_LEAST_BYTES = 1 << 16
_FIRST_SLOTS = 1 << 10
_WORDS = 4  # of a slot
_LINE = 64  # bytes of a line of the processor's cache, over whose border no slot should go


class IdCache:
    """A table from pieces to ids, with the room that encoding works in. One thread uses it at a time.

    It grows as pieces come. When it is full it is emptied.
    """

    def __init__(self, n_bytes: int) -> None:
        """An empty table of at most `n_bytes`: half of it slots, and a quarter each for text and ids elsewhere."""
        self._most_slots: int = 1 << (n_bytes // (2 * 8 * _WORDS)).bit_length() - 1
        self._most_text, self._most_ids = n_bytes // 4, n_bytes // 4 // 4
        self._n_first = min(_FIRST_SLOTS, self._most_slots)
        self.used = np.zeros(3, dtype=np.int64)
        self.slots = _empty_slots(self._n_first)
        self.text = np.empty(16 * self._n_first, dtype=np.uint8)
        self.ids = np.empty(2 * self._n_first, dtype=np.int32)
        self.state = np.zeros(5, dtype=np.int64)
        self.work = np.empty((N_ROWS, kernels.LONGEST + 2), dtype=np.int32)
        self.chunk = np.empty((kernels.N_CHUNK, 3), dtype=np.uint64)

    @property
    def n_bytes_held(self) -> int:
        """Bytes of memory that the table has allocated."""
        return self.slots.nbytes + self.text.nbytes + self.ids.nbytes

    def table(self) -> tuple[npt.NDArray[Any], ...]:
        """What kernels take as the table."""
        return self.slots, self.text, self.ids, self.used

    def room(self) -> tuple[npt.NDArray[Any], ...]:
        """What kernels work in."""
        return self.work, self.chunk, self.state

    def make_room(self) -> None:
        """Make room for one more piece and for some after it: larger arrays, or an empty table."""
        n_entries, n_text, n_ids = self.used.tolist()
        is_short = (
            8 * n_entries >= 5 * len(self.slots),
            n_text + kernels.LONGEST > self.text.size,
            n_ids + kernels.LONGEST > self.ids.size,
        )
        most = (self._most_slots, self._most_text, self._most_ids)
        sizes = (len(self.slots), self.text.size, self.ids.size)
        if any(short and size >= limit for short, size, limit in zip(is_short, sizes, most, strict=True)):
            self.slots[:] = 0
            self.used[:] = 0
            return
        if is_short[0]:
            old, self.slots = self.slots, _empty_slots(min(2 * len(self.slots), self._most_slots))
            kernels.refill(old, self.slots)
        if is_short[1]:
            self.text = _longer(self.text, self._most_text)
        if is_short[2]:
            self.ids = _longer(self.ids, self._most_ids)


def _longer(array: npt.NDArray[Scalar], most: int) -> npt.NDArray[Scalar]:
    """The array with room after it, three times as much as there is, but no longer than `most`."""
    return np.concatenate([array, np.empty(min(3 * array.size, most - array.size), dtype=array.dtype)])


def _empty_slots(n: int) -> npt.NDArray[np.uint64]:
    """Slots that begin at a line of the processor's cache."""
    raw = np.zeros(8 * _WORDS * n + _LINE, dtype=np.uint8)
    first = -raw.ctypes.data % _LINE
    return raw[first : first + 8 * _WORDS * n].view(np.uint64).reshape(n, _WORDS)


class IdCaches:
    """The tables of an encoder: each call takes one that no other uses, and puts it back for the next.

    So there are as many as there were calls at once. Copies in other processes and pickles begin without any.
    """

    def __init__(self, n_bytes: int = CACHE_BYTES) -> None:
        """Tables of at most `n_bytes` each; raises TargetError for less than 64 kB."""
        if n_bytes < _LEAST_BYTES:
            raise TargetError(f"`n_bytes` of the cache is {n_bytes:,}; it must be {_LEAST_BYTES:,} or more")
        self.n_bytes = n_bytes
        self._free: list[IdCache] = []

    def __reduce__(self) -> tuple[type[IdCaches], tuple[int]]:
        return IdCaches, (self.n_bytes,)

    @property
    def n_bytes_held(self) -> int:
        """Bytes of memory of all tables that are not in use."""
        return sum(cache.n_bytes_held for cache in self._free)

    def take(self) -> IdCache:
        """A table for the use of the caller alone, until it is given back."""
        try:
            return self._free.pop()  # at once, for any number of threads
        except IndexError:
            return IdCache(self.n_bytes)

    def give_back(self, cache: IdCache) -> None:
        """Leave a table to later calls; one that an error left half-way is not given back."""
        self._free.append(cache)
