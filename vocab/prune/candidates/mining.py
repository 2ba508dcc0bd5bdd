"""Substrings of pre-tokens as further candidates: those of whole characters that occur often enough.

Apriori, by length in characters: a substring can only be frequent when the two substrings of it that are one character
shorter are. A place is dropped at the first length that is not frequent there. Each length is counted in a hash table,
by the ids of the two shorter substrings.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.arrays import Mask, frozen
from vocab.pretokens.counts import PretokenCounts
from vocab.pretokens.table import PretokenTable
from vocab.prune.candidates import mining_kernels
from vocab.prune.candidates.mining_kernels import COUNT, DOCUMENTS, FIRST, KEY
from vocab.threads import run_shards

_MOST_IDS = 2**31 - 1
_LOW = 0xFFFFFFFF

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Substrings:
    """Distinct substrings of pre-tokens, most frequent first, of equal ones the shortest, then in byte order.

    Attributes:
        blob: all of them concatenated, uint8.
        starts: where each begins, int64[n + 1].
        counts: occurrences, overlapping ones too, int64[n].
        document_counts: documents that hold each at most, int64[n]: the sum over the distinct pre-tokens that hold it
            of the documents that hold those, so a document with several of them counts more than once. None where the
            documents of pre-tokens were not counted.
    """

    blob: npt.NDArray[np.uint8]
    starts: Numbers
    counts: Numbers
    document_counts: Numbers | None

    def as_bytes(self) -> list[bytes]:
        """The substrings in order."""
        text = self.blob.tobytes()
        return [text[a:b] for a, b in itertools.pairwise(self.starts.tolist())]


@dataclass(frozen=True)
class _Frequent:
    """The frequent substrings of one length in characters."""

    begins: Numbers  # byte of the pre-tokens' blob where each first occurs
    n_bytes: Numbers
    counts: Numbers
    documents: Numbers
    is_closed: Mask  # whether no substring that is one character longer has the same count


def mine(
    counts: PretokenCounts,
    min_count: int,
    *,
    min_documents: int = 1,
    max_bytes: int = 32,
    most: int | None = None,
    closed_only: bool = True,
    n_threads: int = 1,
) -> Substrings:
    """Find the substrings of pre-tokens, of whole UTF-8 characters, that occur often enough.

    Memory: 20 bytes a character of the distinct pre-tokens; and 60 to 130 bytes for each distinct substring of one
    length whose two shorter substrings are frequent.

    Args:
        counts: pre-tokens with counts.
        min_count: occurrences at least.
        min_documents: documents at least, where documents were counted.
        max_bytes: bytes at most; the least is 2.
        most: substrings at most, the most frequent; None for all.
        closed_only: whether to leave out a substring that always occurs with the same character before or after it,
            as long as the longer one is within `max_bytes`.
        n_threads: threads; the result does not depend on how many.
    """
    levels = _mine_lengths(counts, _Limits(min_count, min_documents, max_bytes), n_threads)
    begins, n_bytes, n, documents, is_closed = (
        np.concatenate([getattr(level, name) for level in levels])
        for name in ("begins", "n_bytes", "counts", "documents", "is_closed")
    )
    mined = np.flatnonzero((n_bytes > 1) & (is_closed if closed_only else True))
    table = PretokenTable()
    blob, starts = _gathered(counts.blob, begins[mined], n_bytes[mined])
    table.add(blob, starts[1:])
    in_byte_order = mined[table.order()]
    chosen = in_byte_order[np.lexsort((n_bytes[in_byte_order], -n[in_byte_order]))][:most]
    blob, starts = _gathered(counts.blob, begins[chosen], n_bytes[chosen])
    return Substrings(blob, starts, n[chosen], None if counts.document_counts is None else documents[chosen])


def _gathered(text: npt.NDArray[np.uint8], begins: Numbers, n_bytes: Numbers) -> tuple[npt.NDArray[np.uint8], Numbers]:
    """Pieces of a text concatenated, and where each begins."""
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(n_bytes)])
    return text[np.arange(int(starts[-1])) + np.repeat(begins - starts[:-1], n_bytes)], starts


@dataclass(frozen=True)
class _Limits:
    """Limits that a substring must meet, and so any shorter one within it."""

    min_count: int
    min_documents: int
    max_bytes: int


def _mine_lengths(counts: PretokenCounts, limits: _Limits, n_threads: int) -> list[_Frequent]:
    """The frequent substrings of each length in characters, from 1 on."""
    places = _Places(counts)
    levels = [_count_length(places, None, limits, n_threads)]
    while places.ids.size:
        levels.append(_count_length(places, levels[-1], limits, n_threads))
    return levels


def _count_length(places: _Places, shorter: _Frequent | None, limits: _Limits, n_threads: int) -> _Frequent:
    """The frequent substrings that are one character longer than `shorter`; `places` keeps only theirs."""
    tables = [_Table() for _ in range(n_threads)]

    def work(share: int, _: int) -> tuple[Mask, Numbers]:
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
    level = _Frequent(
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


def _n_bytes(records: Numbers, places: _Places, shorter: _Frequent | None) -> Numbers:
    """Length of each counted substring: its first character, and what follows it."""
    firsts = records[:, FIRST]
    n_bytes: Numbers = places.begins[firsts + 1] - places.begins[firsts]
    return n_bytes if shorter is None else n_bytes + shorter.n_bytes[records[:, KEY] & _LOW]


def _note_open(records: Numbers, shorter: _Frequent) -> None:
    """Mark the substrings one character shorter that are as frequent as one of these."""
    for ids in (records[:, KEY] >> 32, records[:, KEY] & _LOW):
        shorter.is_closed[ids[shorter.counts[ids] == records[:, COUNT]]] = False


class _Places:
    """Where substrings begin: slots of characters, closed up as fewer are left."""

    def __init__(self, counts: PretokenCounts) -> None:
        blob, starts = frozen(counts.blob), frozen(counts.starts)
        none, no_begins = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
        n = int(mining_kernels.fill_slots(blob, starts, none, none, no_begins, False))
        if max(n, counts.n_pretokens) > _MOST_IDS:
            raise ValueError(f"substrings of at most {_MOST_IDS:,} distinct characters and pre-tokens can be counted")
        self.ids, self.owners, self.entries = np.empty((3, n), dtype=np.int32)
        self.begins = np.empty(n, dtype=np.int64)
        mining_kernels.fill_slots(blob, starts, self.ids, self.owners, self.begins, True)
        self.counts = frozen(counts.counts.astype(np.int64))
        documents = no_begins if counts.document_counts is None else counts.document_counts.astype(np.int64)
        self.documents = frozen(documents)

    def renumber(self, is_single: bool, sizes: Sequence[int], numbers: npt.NDArray[np.int32]) -> None:
        """Make the numbers of frequent substrings, -1 for others, the ids of the slots where they begin."""
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        n = int(
            mining_kernels.renumber(
                self.ids, self.owners, self.begins, is_single, len(sizes), self.entries, offsets, numbers
            )
        )
        self.ids, self.owners, self.entries = self.ids[:n], self.owners[:n], self.entries[:n]
        self.begins = self.begins[:n]


class _Table:
    """Distinct substrings of one length, of one share of all keys."""

    def __init__(self) -> None:
        self.n_entries = 0
        self.records = np.empty((1 << 12, mining_kernels.N_COLUMNS), dtype=np.int64)
        self._slots = np.zeros(1 << 13, dtype=np.uint64)

    def count(self, places: _Places, is_single: bool, share: int, n_shares: int) -> None:
        """Count the substrings that begin at the slots; each slot's entry goes to `places.entries`."""
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
