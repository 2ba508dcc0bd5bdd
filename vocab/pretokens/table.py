"""A table of distinct pre-tokens with counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.arrays import Scalar, frozen
from vocab.pretokens import table_kernels, table_sort_kernels

_MOST_ENTRIES = 2**31 - 1  # a slot holds the entry in 32 bits, and callers take entries as int32
_N_CHUNK = 512  # pieces whose keys are made before they are counted


def _grown(array: npt.NDArray[Scalar], n_used: int, n_needed: int) -> npt.NDArray[Scalar]:
    """The array, or a copy with room for `n_needed` rows and a third of that to spare."""
    if n_needed <= len(array):
        return array
    larger = np.empty((max(n_needed, 2 * len(array)), *array.shape[1:]), dtype=array.dtype)
    larger[:n_used] = array[:n_used]
    return larger


SortedEntries = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]


class PretokenTable:
    """Distinct byte strings in order of first appearance, each with a uint64 count and a uint64 number of documents.

    Memory: the bytes of the distinct pre-tokens, and 60 to 100 bytes for each of them. At most 2³¹ - 1 pre-tokens fit;
    adding one more raises ValueError.
    """

    def __init__(self, room: int = 1 << 12) -> None:
        """An empty table with room for so many entries, a power of two, before it grows."""
        self.n_entries = 0
        self._n_documents = 0  # added so far: what the last document of an entry is told by
        self._arena = np.empty(16 * room, dtype=np.uint8)
        self._starts = np.zeros(room + 1, dtype=np.int64)
        self._records = np.empty((room, 5), dtype=np.uint64)
        self._slots = np.zeros(2 * room, dtype=np.uint64)
        # Some pieces while they are counted.
        self._keys = np.empty((_N_CHUNK, 2), dtype=np.uint64)
        self._found = np.empty(_N_CHUNK, dtype=np.uint64)
        self._pieces, self._owners = np.empty((2, _N_CHUNK), dtype=np.int64)

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
        """How often each was added, uint64[n_entries]; a copy."""
        return self._records[: self.n_entries, table_kernels.COUNT].copy()

    @property
    def n_documents(self) -> npt.NDArray[np.uint64]:
        """In how many documents each occurs, uint64[n_entries], a copy; 0 for what was added without documents."""
        return self._records[: self.n_entries, table_kernels.DOCUMENTS].copy()

    @property
    def n_bytes_held(self) -> int:
        """Bytes of memory that the table has allocated."""
        room = (self._keys, self._found, self._pieces, self._owners)
        return sum(array.nbytes for array in (*self._state(), *room))

    def clear(self) -> None:
        """Empty the table; what it has allocated stays for the next entries."""
        self.n_entries = 0
        self._n_documents = 0
        self._slots[:] = 0

    def add(
        self,
        text: npt.NDArray[np.uint8],
        ends: npt.NDArray[np.int64],
        weights: npt.NDArray[np.uint64] | None = None,
    ) -> npt.NDArray[np.int32]:
        """Count the pieces of `text` that stop at `ends`; returns the entry of each, int32[len(ends)]."""
        if weights is None:
            weights = np.ones(ends.size, dtype=np.uint64)
        return self._add_weighted(text, ends, weights, np.empty(0, dtype=np.uint64))

    def add_counts(
        self,
        blob: npt.NDArray[np.uint8],
        starts: npt.NDArray[np.int64],
        counts: npt.NDArray[np.uint64],
        n_documents: npt.NDArray[np.uint64],
    ) -> npt.NDArray[np.int32]:
        """Add another table: of piece k, blob[starts[k] : starts[k + 1]], its count and its number of documents.

        `starts` is int64[n + 1] from 0 on, `counts` and `n_documents` are uint64[n]; the documents of the two tables
        are taken to be different ones. Returns the entry of each, int32[n].
        """
        return self._add_weighted(blob, starts[1:], counts, n_documents)

    def add_documents(
        self,
        text: npt.NDArray[np.uint8],
        doc_starts: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        firsts: npt.NDArray[np.int64],
        chosen: npt.NDArray[np.bool_],
    ) -> None:
        """Count the pieces of the chosen documents (bool[n_documents]) and the documents that hold each.

        The other arguments are those of `SplitPattern.ends_of_documents` and its result: the pieces cover the text.
        """
        inputs = [frozen(array) for array in (text, doc_starts, ends, firsts, chosen)]
        buffers = (self._keys, self._pieces, self._owners, self._found)
        document, piece, other, n_others = 0, int(firsts[0]), 0, 0
        while document < chosen.size or other < n_others:
            self.n_entries, document, piece, other, n_others = table_kernels.add_documents(
                *inputs, self._n_documents, *self._state(), *buffers, self.n_entries, document, piece, other, n_others
            )
            if other < n_others:
                at = int(self._pieces[self._found[other]])
                self._grow(int(ends[at] - (ends[at - 1] if at > 0 else doc_starts[0])))
        self._n_documents += chosen.size

    def order(self) -> npt.NDArray[np.int64]:
        """Entries in byte order, a prefix before what it begins, int64[n_entries]."""
        n = self.n_entries
        order = np.arange(n, dtype=np.int64)
        keys, other_keys = np.empty((2, n), dtype=np.uint64)
        tallies = np.empty((8, 256), dtype=np.int64)
        waiting = np.empty((n // table_sort_kernels.N_SMALL + 2, 3), dtype=np.int64)
        table_sort_kernels.sort(
            self._arena, self._starts, order, keys, other_keys, np.empty_like(order), tallies, waiting
        )
        return order

    def sorted_arrays(self) -> SortedEntries:
        """(blob, starts, counts, n_documents) of the entries in byte order, new arrays shaped as the properties."""
        return self._gathered(self.order())

    def _gathered(self, order: npt.NDArray[np.int64]) -> SortedEntries:
        n_bytes = int((self._starts[order + 1] - self._starts[order]).sum())
        blob = np.empty(n_bytes + table_kernels.N_SPARE, dtype=np.uint8)
        starts = np.empty(order.size + 1, dtype=np.int64)
        counts = np.empty(order.size, dtype=np.uint64)
        n_documents = np.empty(order.size, dtype=np.uint64)
        table_sort_kernels.gather(self._arena, self._starts, self._records, order, blob, starts, counts, n_documents)
        return blob[:n_bytes], starts, counts, n_documents

    def sorted_chunks(self, n_rows: int) -> Iterator[SortedEntries]:
        """What `sorted_arrays` gives, `n_rows` entries at a time, so that there is no second copy of the table."""
        order = self.order()
        for first in range(0, order.size, n_rows):
            yield self._gathered(order[first : first + n_rows])

    def _state(self) -> tuple[npt.NDArray[Any], ...]:
        return self._slots, self._arena, self._starts, self._records

    def _add_weighted(
        self,
        text: npt.NDArray[np.uint8],
        ends: npt.NDArray[np.int64],
        weights: npt.NDArray[np.uint64],
        documents: npt.NDArray[np.uint64],
    ) -> npt.NDArray[np.int32]:
        inputs = [frozen(array) for array in (text, ends, weights, documents)]
        entries = np.empty(ends.size, dtype=np.int32)
        piece = 0
        while True:
            self.n_entries, piece = table_kernels.add_weighted(
                *inputs, *self._state(), self._keys, self._found, self.n_entries, piece, entries
            )
            if piece >= ends.size:
                return entries
            self._grow(int(ends[piece] - (ends[piece - 1] if piece > 0 else 0)))

    def _grow(self, n_bytes: int) -> None:
        """Make room for one more entry of `n_bytes` bytes and for some after it."""
        n = self.n_entries
        if n >= _MOST_ENTRIES:
            raise ValueError(f"a table holds at most {_MOST_ENTRIES:,} distinct pre-tokens; count into more than one")
        used = int(self._starts[n])
        self._arena = _grown(self._arena, used, used + n_bytes + table_kernels.N_SPARE)
        self._records = _grown(self._records, n, n + 1)[:_MOST_ENTRIES]
        self._starts = _grown(self._starts, n + 1, len(self._records) + 1)
        if 8 * n >= 5 * self._slots.size:
            self._slots = np.zeros(2 * self._slots.size, dtype=np.uint64)
            table_kernels.refill(self._slots, self._records, n)
