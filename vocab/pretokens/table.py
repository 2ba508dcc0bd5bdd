"""A table of distinct pre-tokens with counts: open addressing over one arena of bytes.

A piece becomes two words, its key. Up to 15 bytes are the key, padded with NULs, with the length in the top byte, so
that two words compare what bytes would; a longer piece has its hash and its length there, and its bytes are compared.
Keys and slots of some hundred pieces are read before any of them is counted: then cache misses overlap.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, types
from numba.extending import intrinsic

from vocab.arrays import Scalar, frozen

# Without reference counts of arrays (_nrt): a kernel's caller holds all of them, and where functions with many branches
# call each other Numba does not see that it could leave the counting out, which took nine tenths of the time.
_KERNEL: dict[str, Any] = {"nogil": True, "cache": True, "_nrt": False}
_INLINE: dict[str, Any] = {**_KERNEL, "forceinline": True}
_intrinsic: Any = intrinsic  # its declared type counts the typing context as an argument

_MOST_ENTRIES = 2**31 - 1  # a slot holds the entry in 32 bits, and callers take entries as int32
_N_CHUNK = 512  # pieces whose keys are made before they are counted
_N_SPARE = 8  # bytes past the last pre-token, so that a word can be read from any of its bytes
_N_SMALL = 24  # entries that are sorted by insertion

# Columns of a record.
_KEY = 0
_REST = 1  # second word of the key: bytes 8 to 14 and the length, or _LONG and the length
_COUNT = 2
_DOCUMENTS = 3
_LAST = 4  # number of the last document that held the entry, from 1

_NOTHING = np.uint64(0)
_ONE = np.uint64(1)
_LOW = np.uint64(0xFFFFFFFF)
_BYTE = np.uint64(0xFF)
_HALF = np.uint64(32)
_TOP = np.uint64(56)
_LONG = np.uint64(0xFF << 56)
_MIX_KEY = np.uint64(0x9E3779B97F4A7C15)
_MIX_REST = np.uint64(0xD6E8FEB86659FD93)
# What of the first and of the second word belongs to a piece of 0 to 15 bytes.
_FIRST_MASKS = np.array([(1 << 8 * min(n, 8)) - 1 for n in range(16)], dtype=np.uint64)
_SECOND_MASKS = np.array([(1 << 8 * max(n - 8, 0)) - 1 for n in range(16)], dtype=np.uint64)


@_intrinsic
def _load8(typingctx, array, at):
    """Eight bytes from byte `at` of a uint8 array as a little-endian uint64, unchecked: the caller knows they exist."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(data, [args[1]]), context.get_value_type(types.uint64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(array, at), codegen


@_intrinsic
def _store8(typingctx, array, at, word):
    """Write a word to bytes `at` to `at` + 8 of a uint8 array, unchecked: the caller knows they exist."""

    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(data, [args[1]]), context.get_value_type(types.uint64).as_pointer())
        builder.store(args[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(array, at, word), codegen


@_intrinsic
def _big_endian(typingctx, word):
    """The bytes of a word in the other order: compared as numbers, such words stand in byte order."""

    def codegen(context, builder, signature, args):
        return builder.bswap(args[0])

    return types.uint64(word), codegen


# Adding


@njit(**_INLINE)
def _word(text, at, n_bytes):
    """Up to eight bytes from byte `at` as a little-endian word, near the end of `text` too."""
    value = _NOTHING
    for k in range(min(n_bytes, 8)):
        value |= np.uint64(text[at + k]) << np.uint64(8 * k)
    return value


@njit(**_INLINE)
def _long_hash(text, start, length):
    """Hash of 16 bytes or more, a word at a time; the last word overlaps the one before it."""
    value = np.uint64(length)
    for k in range(start, start + length - 8, 8):
        value = (value ^ _load8(text, k)) * _MIX_KEY
        value ^= value >> _HALF
    value = (value ^ _load8(text, start + length - 8)) * _MIX_KEY
    return value ^ (value >> _HALF)


@njit(**_INLINE)
def _key(text, start, length):
    """The two words of the piece of `length` bytes at `start`."""
    if length > 15:
        return _long_hash(text, start, length), _LONG | np.uint64(length)
    if start + 16 <= text.size:
        first, second = _load8(text, start), _load8(text, start + 8)
    else:
        first, second = _word(text, start, length), _word(text, start + 8, length - 8)
    first &= _FIRST_MASKS[length]
    second &= _SECOND_MASKS[length]
    return first, second | (np.uint64(length) << _TOP)


@njit(**_INLINE)
def _hash(first, second):
    value = (first ^ (second * _MIX_REST)) * _MIX_KEY
    value ^= value >> _HALF
    value *= _MIX_REST
    return value ^ (value >> _HALF)


@njit(**_INLINE)
def _equals(text, start, arena, at, length):
    """Whether two stretches of 16 bytes or more are equal."""
    for k in range(0, length - 8, 8):
        if _load8(text, start + k) != _load8(arena, at + k):
            return False
    return _load8(text, start + length - 8) == _load8(arena, at + length - 8)


@njit(**_KERNEL)
def _insert(text, start, length, first, second, slots, slot, tag, arena, starts, records, n_entries):
    """Make entry `n_entries` of a piece; False when there is no room."""
    at = starts[n_entries]
    if n_entries >= records.shape[0] or 8 * n_entries >= 5 * slots.size or at + length + _N_SPARE > arena.size:
        return False
    slots[slot] = (tag << _HALF) | np.uint64(n_entries + 1)
    for k in range(length):
        arena[at + k] = text[start + k]
    starts[n_entries + 1] = at + length
    records[n_entries, _KEY] = first
    records[n_entries, _REST] = second
    records[n_entries, _COUNT] = _NOTHING
    records[n_entries, _DOCUMENTS] = _NOTHING
    records[n_entries, _LAST] = _NOTHING
    return True


@njit(**_KERNEL)
def _find(text, start, length, first, second, slots, arena, starts, records, n_entries):
    """Entry of a piece, `n_entries` when it was made now, -1 when there was no room to make it."""
    mask = np.uint64(slots.size - 1)
    value = _hash(first, second)
    tag = value >> _HALF
    slot = value & mask
    while slots[slot] != _NOTHING:
        if slots[slot] >> _HALF == tag:
            entry = (slots[slot] & _LOW) - _ONE
            if records[entry, _KEY] == first and records[entry, _REST] == second:
                if second < _LONG or _equals(text, start, arena, starts[entry], length):
                    return np.int64(entry)
        slot = (slot + _ONE) & mask
    if _insert(text, start, length, first, second, slots, slot, tag, arena, starts, records, n_entries):
        return n_entries
    return -1


@njit(**_INLINE)
def _likely_slots(keys, found, n, slots):
    """Write to found[:n] what the slot that most likely holds each key holds: its first, or the one after it.

    Without a branch, so that the processor waits for many slots at once; likewise `_count_found`.
    """
    mask = np.uint64(slots.size - 1)
    for k in range(n):
        value = _hash(keys[k, 0], keys[k, 1])
        at_once = slots[value & mask]
        next_to_it = slots[(value + _ONE) & mask]
        found[k] = at_once if at_once >> _HALF == value >> _HALF else next_to_it


@njit(**_INLINE)
def _count_found(keys, found, owners, n, n_before, records):
    """Count the pieces whose entry found[:n] names, by adding 0 where it names another; the others' numbers to found.

    Returns how many others there are: those whose entry is elsewhere or new, and those of 16 bytes or more.
    """
    n_others = 0
    for k in range(n):
        first, second, held = keys[k, 0], keys[k, 1], found[k]
        entry = (held & _LOW) - np.uint64(held != _NOTHING)
        is_it = (records[entry, _KEY] == first) & (records[entry, _REST] == second)
        is_it &= (held != _NOTHING) & (second < _LONG)
        number = np.uint64(n_before + owners[k] + 1)
        last = records[entry, _LAST]
        records[entry, _COUNT] += np.uint64(is_it)
        records[entry, _DOCUMENTS] += np.uint64(is_it & (last != number))
        records[entry, _LAST] = number if is_it else last
        found[n_others] = np.uint64(k)
        n_others += not is_it
    return n_others


@njit(**_KERNEL)
def _add_documents(
    text,
    doc_starts,
    ends,
    firsts,
    chosen,
    n_before,
    slots,
    arena,
    starts,
    records,
    keys,
    pieces,
    owners,
    found,
    n_entries,
    document,
    piece,
    other,
    n_others,
):
    """Count the pieces of the chosen documents from piece `piece` of `document` on; `n_before` documents came before.

    `keys` uint64[n, 2], `pieces` int64[n], `owners` int64[n] (documents) and `found` uint64[n] hold some pieces while
    they are counted; found[other:n_others] are those among them that are left from the call before. Returns
    (n_entries, document, piece, other, n_others): other < n_others when there was no room for that piece.
    """
    while True:
        while other < n_others:
            k = found[other]
            at = pieces[k]
            start = ends[at - 1] if at > 0 else doc_starts[0]
            entry = _find(
                text, start, ends[at] - start, keys[k, 0], keys[k, 1], slots, arena, starts, records, n_entries
            )
            if entry < 0:
                return n_entries, document, piece, other, n_others
            n_entries += entry == n_entries
            number = np.uint64(n_before + owners[k] + 1)
            records[entry, _COUNT] += _ONE
            records[entry, _DOCUMENTS] += np.uint64(records[entry, _LAST] != number)
            records[entry, _LAST] = number
            other += 1
        if document >= chosen.size:
            return n_entries, document, piece, other, n_others
        n = 0
        while n < pieces.size and document < chosen.size:
            if not chosen[document] or piece >= firsts[document + 1]:
                document += 1
                piece = firsts[document]
                continue
            stop = min(firsts[document + 1], piece + pieces.size - n)
            start = ends[piece - 1] if piece > 0 else doc_starts[0]
            for k in range(piece, stop):
                end = ends[k]
                keys[n, 0], keys[n, 1] = _key(text, start, end - start)
                pieces[n] = k
                owners[n] = document
                start = end
                n += 1
            piece = stop
        _likely_slots(keys, found, n, slots)
        n_others = _count_found(keys, found, owners, n, n_before, records)
        other = 0


@njit(**_KERNEL)
def _add_weighted(
    text, ends, weights, documents, slots, arena, starts, records, keys, found, n_entries, piece, entries
):
    """Add weights[k] and documents[k] (which may be empty) to the entry of piece k, for each k from `piece` on.

    Writes the entry of piece k to entries[k]; `keys` uint64[n, 2] and `found` uint64[n] are room to work in. Returns
    (n_entries, piece that there was no room for or len(ends)).
    """
    while piece < ends.size:
        n = min(found.size, ends.size - piece)
        begin = ends[piece - 1] if piece > 0 else 0
        start = begin
        for k in range(n):
            end = ends[piece + k]
            keys[k, 0], keys[k, 1] = _key(text, start, end - start)
            start = end
        _likely_slots(keys, found, n, slots)
        start = begin
        for k in range(n):
            first, second = keys[k, 0], keys[k, 1]
            entry = np.int64(found[k] & _LOW) - 1
            end = ends[piece]
            if entry < 0 or second >= _LONG or records[entry, _KEY] != first or records[entry, _REST] != second:
                entry = _find(text, start, end - start, first, second, slots, arena, starts, records, n_entries)
                if entry < 0:
                    return n_entries, piece
                n_entries += entry == n_entries
            records[entry, _COUNT] += weights[piece]
            if documents.size > 0:
                records[entry, _DOCUMENTS] += documents[piece]
            entries[piece] = entry
            start = end
            piece += 1
    return n_entries, piece


@njit(**_KERNEL)
def _refill(slots, records, n_entries):
    mask = np.uint64(slots.size - 1)
    for entry in range(n_entries):
        value = _hash(records[entry, _KEY], records[entry, _REST])
        slot = value & mask
        while slots[slot] != _NOTHING:
            slot = (slot + _ONE) & mask
        slots[slot] = (value >> _HALF << _HALF) | np.uint64(entry + 1)


# Sorting


@njit(**_INLINE)
def _chunk_at(arena, starts, entry, depth):
    """Bytes `depth` to `depth` + 8 of an entry, as a number that orders as they do; NULs where it has ended."""
    at = starts[entry] + depth
    n_left = starts[entry + 1] - at
    if n_left <= 0:
        return _NOTHING
    word = _load8(arena, at)
    if n_left < 8:
        word &= _FIRST_MASKS[n_left]
    return _big_endian(word)


@njit(**_INLINE)
def _is_before(arena, starts, one, other, depth):
    """Whether entry `one` stands before entry `other`, whose first `depth` bytes are equal."""
    shorter = min(starts[one + 1] - starts[one], starts[other + 1] - starts[other])
    while depth < shorter:
        a, b = _chunk_at(arena, starts, one, depth), _chunk_at(arena, starts, other, depth)
        if a != b:
            return a < b
        depth += 8
    return starts[one + 1] - starts[one] < starts[other + 1] - starts[other]


@njit(**_KERNEL)
def _sort_few(arena, starts, order, low, high, depth):
    for k in range(low + 1, high):
        entry = order[k]
        at = k
        while at > low and _is_before(arena, starts, entry, order[at - 1], depth):
            order[at] = order[at - 1]
            at -= 1
        order[at] = entry


@njit(**_KERNEL)
def _radix_sort(keys, order, low, high, other_keys, other_order, tallies):
    """Sort order[low:high] by keys[low:high], stably, a byte at a time; bytes that all keys share are skipped."""
    for digit in range(8):
        for value in range(256):
            tallies[digit, value] = 0
    for k in range(low, high):
        for digit in range(8):
            tallies[digit, (keys[k] >> np.uint64(8 * digit)) & _BYTE] += 1
    for digit in range(8):
        shift = np.uint64(8 * digit)
        if tallies[digit, (keys[low] >> shift) & _BYTE] == high - low:
            continue
        at = low
        for value in range(256):
            n = tallies[digit, value]
            tallies[digit, value] = at
            at += n
        for k in range(low, high):
            value = (keys[k] >> shift) & _BYTE
            at = tallies[digit, value]
            tallies[digit, value] = at + 1
            other_keys[at] = keys[k]
            other_order[at] = order[k]
        for k in range(low, high):
            keys[k] = other_keys[k]
            order[k] = other_order[k]


@njit(**_KERNEL)
def _ended_first(starts, order, low, high, depth):
    """Move the entries of at most `depth` bytes to the front of order[low:high]; returns where the others begin."""
    at = low
    for k in range(low, high):
        entry = order[k]
        if starts[entry + 1] - starts[entry] <= depth:
            order[k] = order[at]
            order[at] = entry
            at += 1
    return at


@njit(**_KERNEL)
def _sort(arena, starts, order, keys, other_keys, other_order, tallies, waiting):
    """Put `order`, which names all entries, in byte order: by eight bytes, then those that tie by the next eight.

    Work grows with the bytes that have to be looked at, whatever prefixes are shared. `waiting` int64[n, 3] holds
    ranges of `order` that tie up to a depth; they are disjoint, and all but the first are larger than _N_SMALL.
    """
    waiting[0, 0], waiting[0, 1], waiting[0, 2] = 0, order.size, 0
    n_waiting = 1
    while n_waiting > 0:
        n_waiting -= 1
        low, high, depth = waiting[n_waiting, 0], waiting[n_waiting, 1], waiting[n_waiting, 2]
        differ = False
        for k in range(low, high):
            keys[k] = _chunk_at(arena, starts, order[k], depth)
            differ |= keys[k] != keys[low]
        if differ:
            _radix_sort(keys, order, low, high, other_keys, other_order, tallies)
        begin = low
        for k in range(low + 1, high + 1):
            if k < high and keys[k] == keys[begin]:
                continue
            if k - begin <= _N_SMALL:
                _sort_few(arena, starts, order, begin, k, depth)
            else:
                middle = _ended_first(starts, order, begin, k, depth + 8)
                _sort_few(arena, starts, order, begin, middle, depth)
                waiting[n_waiting, 0], waiting[n_waiting, 1], waiting[n_waiting, 2] = middle, k, depth + 8
                n_waiting += 1
            begin = k


@njit(**_KERNEL)
def _gather(arena, starts, records, order, blob, new_starts, counts, n_documents):
    """Write the entries named in `order` one after another; `blob` has _N_SPARE bytes more than they need."""
    to = 0
    for k in range(order.size):
        entry = order[k]
        new_starts[k] = to
        at, stop = starts[entry], starts[entry + 1]
        while at < stop:  # the spare bytes of a word are written over by the next entry
            _store8(blob, to, _load8(arena, at))
            step = min(stop - at, 8)
            at += step
            to += step
        counts[k] = records[entry, _COUNT]
        n_documents[k] = records[entry, _DOCUMENTS]
    new_starts[order.size] = to


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
        return self._records[: self.n_entries, _COUNT].copy()

    @property
    def n_documents(self) -> npt.NDArray[np.uint64]:
        """In how many documents each occurs, uint64[n_entries], a copy; 0 for what was added without documents."""
        return self._records[: self.n_entries, _DOCUMENTS].copy()

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
            self.n_entries, document, piece, other, n_others = _add_documents(
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
        waiting = np.empty((n // _N_SMALL + 2, 3), dtype=np.int64)
        _sort(self._arena, self._starts, order, keys, other_keys, np.empty_like(order), tallies, waiting)
        return order

    def sorted_arrays(self) -> SortedEntries:
        """(blob, starts, counts, n_documents) of the entries in byte order, new arrays shaped as the properties."""
        return self._gathered(self.order())

    def _gathered(self, order: npt.NDArray[np.int64]) -> SortedEntries:
        n_bytes = int((self._starts[order + 1] - self._starts[order]).sum())
        blob = np.empty(n_bytes + _N_SPARE, dtype=np.uint8)
        starts = np.empty(order.size + 1, dtype=np.int64)
        counts = np.empty(order.size, dtype=np.uint64)
        n_documents = np.empty(order.size, dtype=np.uint64)
        _gather(self._arena, self._starts, self._records, order, blob, starts, counts, n_documents)
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
            self.n_entries, piece = _add_weighted(
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
        self._arena = _grown(self._arena, used, used + n_bytes + _N_SPARE)
        self._records = _grown(self._records, n, n + 1)[:_MOST_ENTRIES]
        self._starts = _grown(self._starts, n + 1, len(self._records) + 1)
        if 8 * n >= 5 * self._slots.size:
            self._slots = np.zeros(2 * self._slots.size, dtype=np.uint64)
            _refill(self._slots, self._records, n)
