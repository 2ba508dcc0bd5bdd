"""Runs of parts that occur often enough, by Apriori: of characters in pre-tokens, of pre-tokens in units of text.

A run can only be frequent when the two runs in it that are one part shorter are. A place is dropped at the first length
that is not frequent there. Each length is counted in a hash table, by the ids of the two shorter runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints, Mask
from vocab.pretokens.table import PretokenTable
from vocab.prune.candidates import mining_kernels
from vocab.prune.candidates.mining_kernels import COUNT, DOCUMENTS, FIRST, KEY
from vocab.threads import run_shards

MOST_IDS = 2**31 - 1
_LOW = 0xFFFFFFFF


@dataclass(frozen=True)
class Substrings:
    """Distinct substrings of a text, most frequent first, of equal ones the shortest, then in byte order.

    Attributes:
        blob: all of them concatenated, uint8.
        starts: where each begins, int64[n + 1].
        counts: occurrences, overlapping ones too, int64[n].
        document_counts: documents that hold each at most, int64[n]: the sum over the distinct pre-tokens that hold it
            of the documents that hold those, so a document with several of them counts more than once. None where the
            documents of pre-tokens were not counted.
    """

    blob: npt.NDArray[np.uint8]
    starts: Ints
    counts: Ints
    document_counts: Ints | None

    def as_bytes(self) -> list[bytes]:
        """The substrings in order."""
        text = self.blob.tobytes()
        return [text[a:b] for a, b in itertools.pairwise(self.starts.tolist())]


@dataclass(frozen=True)
class Frequent:
    """The frequent runs of one number of parts.

    Attributes:
        begins: byte of the text where each first occurs, int64[n].
        n_bytes: bytes of each, int64[n].
        counts: occurrences, int64[n].
        documents: documents that hold each, int64[n].
        is_closed: whether no run that is one part longer has the same count, bool[n].
    """

    begins: Ints
    n_bytes: Ints
    counts: Ints
    documents: Ints
    is_closed: Mask


@dataclass(frozen=True)
class Limits:
    """Limits that a run must meet, and so any shorter one within it."""

    min_count: int
    min_documents: int
    max_bytes: int


@dataclass
class Places:
    """Where runs begin: a slot for each part of a text, closed up as fewer are left.

    Attributes:
        ids: what stands at each slot, int32[n_slots]; -1 ends a run of slots, which needs one at its end.
        owners: the owner of each slot, int32[n_slots], never falling.
        begins: first byte of each slot in the text, int64[n_slots]; of one that ends a run, where that ends.
        counts: how often each owner counts, int64[n_owners].
        documents: how many documents each owner stands for, int64[n_owners]; empty where that is not known.
    """

    ids: npt.NDArray[np.int32]
    owners: npt.NDArray[np.int32]
    begins: Ints
    counts: Ints
    documents: Ints

    def __post_init__(self) -> None:
        self.entries = np.empty_like(self.ids)

    def renumber(self, is_single: bool, sizes: Sequence[int], numbers: npt.NDArray[np.int32]) -> None:
        """Make the numbers of frequent runs, -1 for others, the ids of the slots where they begin."""
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        n = int(
            mining_kernels.renumber(
                self.ids, self.owners, self.begins, is_single, len(sizes), self.entries, offsets, numbers
            )
        )
        self.ids, self.owners, self.entries = self.ids[:n], self.owners[:n], self.entries[:n]
        self.begins = self.begins[:n]


def frequent_runs(places: Places, limits: Limits, n_threads: int, most_parts: int | None = None) -> list[Frequent]:
    """Find the frequent runs of each number of parts, from 1 to `most_parts`; changes `places`.

    Memory: 60 to 130 bytes for each distinct run of one length whose two shorter runs are frequent.
    """
    levels = [_count_length(places, None, limits, n_threads)]
    while places.ids.size and len(levels) != most_parts:
        levels.append(_count_length(places, levels[-1], limits, n_threads))
    return levels


def collected(text: npt.NDArray[np.uint8], runs: Frequent, chosen: Ints, most: int | None) -> Substrings:
    """Put the chosen runs (numbers, int64) of a text in order, at most `most`; runs of the same bytes are added up."""
    table = PretokenTable()
    blob, starts = _gathered(text, runs.begins[chosen], runs.n_bytes[chosen])
    entries = table.add(blob, starts[1:])
    firsts = chosen[np.unique(entries, return_index=True)[1]]
    counts, documents = np.zeros((2, firsts.size), dtype=np.int64)
    np.add.at(counts, entries, runs.counts[chosen])
    np.add.at(documents, entries, runs.documents[chosen])
    in_byte_order = table.order()
    order = in_byte_order[np.lexsort((runs.n_bytes[firsts][in_byte_order], -counts[in_byte_order]))][:most]
    blob, starts = _gathered(text, runs.begins[firsts[order]], runs.n_bytes[firsts[order]])
    return Substrings(blob, starts, counts[order], documents[order])


def together(levels: Sequence[Frequent]) -> Frequent:
    """The runs of several lengths as one."""
    names = ("begins", "n_bytes", "counts", "documents", "is_closed")
    return Frequent(*(np.concatenate([getattr(level, name) for level in levels]) for name in names))


def _gathered(text: npt.NDArray[np.uint8], begins: Ints, n_bytes: Ints) -> tuple[npt.NDArray[np.uint8], Ints]:
    """Pieces of a text concatenated, and where each begins."""
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(n_bytes)])
    return text[np.arange(int(starts[-1])) + np.repeat(begins - starts[:-1], n_bytes)], starts


def _count_length(places: Places, shorter: Frequent | None, limits: Limits, n_threads: int) -> Frequent:
    """The frequent runs that are one part longer than `shorter`; `places` keeps only theirs."""
    tables = [_Table() for _ in range(n_threads)]

    def work(share: int, _: int) -> tuple[Mask, Ints]:
        tables[share].count(places, shorter is None, share, n_threads)
        records = tables[share].records[: tables[share].n_entries]
        n_bytes = _n_bytes(records, places, shorter)
        is_frequent = (records[:, COUNT] >= limits.min_count) & (n_bytes <= limits.max_bytes)
        if places.documents.size:
            is_frequent &= records[:, DOCUMENTS] >= limits.min_documents
        return is_frequent, records[is_frequent]

    parts = run_shards(work, [(k, k + 1) for k in range(n_threads)])
    is_frequent = np.concatenate([part for part, _ in parts])
    records = np.concatenate([part for _, part in parts])
    level = Frequent(
        begins=places.begins[records[:, FIRST]],
        n_bytes=_n_bytes(records, places, shorter),
        counts=records[:, COUNT].copy(),
        documents=records[:, DOCUMENTS].copy(),
        is_closed=np.ones(len(records), dtype=np.bool_),
    )
    if shorter is not None:
        _note_open(records, shorter)
    numbers = np.where(is_frequent, np.cumsum(is_frequent) - 1, -1).astype(np.int32)
    places.renumber(shorter is None, [table.n_entries for table in tables], numbers)
    return level


def _n_bytes(records: Ints, places: Places, shorter: Frequent | None) -> Ints:
    """Length of each counted run in bytes: its first part, and what follows it."""
    firsts = records[:, FIRST]
    n_bytes: Ints = places.begins[firsts + 1] - places.begins[firsts]
    return n_bytes if shorter is None else n_bytes + shorter.n_bytes[records[:, KEY] & _LOW]


def _note_open(records: Ints, shorter: Frequent) -> None:
    """Mark the runs one part shorter that are as frequent as one of these."""
    for ids in (records[:, KEY] >> 32, records[:, KEY] & _LOW):
        shorter.is_closed[ids[shorter.counts[ids] == records[:, COUNT]]] = False


class _Table:
    """Distinct runs of one length, of one share of all keys."""

    def __init__(self) -> None:
        self.n_entries = 0
        self.records = np.empty((1 << 12, mining_kernels.N_COLUMNS), dtype=np.int64)
        self._slots = np.zeros(1 << 13, dtype=np.uint64)

    def count(self, places: Places, is_single: bool, share: int, n_shares: int) -> None:
        """Count the runs that begin at the slots; each slot's entry goes to `places.entries`."""
        at = 0
        while True:
            self.n_entries, at = mining_kernels.count_substrings(
                places.ids,
                places.owners,
                is_single,
                share,
                n_shares,
                places.counts,
                places.documents,
                self._slots,
                self.records,
                self.n_entries,
                at,
                places.entries,
            )
            if at >= places.ids.size:
                return
            self._grow()

    def _grow(self) -> None:
        records = np.empty((2 * len(self.records), mining_kernels.N_COLUMNS), dtype=np.int64)
        records[: self.n_entries] = self.records[: self.n_entries]
        self.records = records
        self._slots = np.zeros(2 * self._slots.size, dtype=np.uint64)
        mining_kernels.refill(self._slots, self.records, self.n_entries)
