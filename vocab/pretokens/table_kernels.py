"""Kernels that count pieces of text in a pre-token table: open addressing over one arena of bytes.

A table is `slots` uint64[a power of two] (the upper half of a hash, and the entry plus 1; 0 where free), `arena` uint8
and `starts` int64 (the pieces end to end), and `records` uint64[room, 5]. Keys and slots of some hundred pieces are
read before any of them is counted: then cache misses overlap.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, inlined, kernel
from vocab.compilation.piece_keys import HALF, LONG, equals, hash_of, key_of

N_SPARE = 8  # bytes past the last pre-token, so that a word can be read from any of its bytes

# Columns of a record.
KEY = 0
REST = 1  # second word of the key: bytes 8 to 14 and the length, or LONG and the length
COUNT = 2
DOCUMENTS = 3
LAST = 4  # number of the last document that held the entry, from 1

_NOTHING = np.uint64(0)
_ONE = np.uint64(1)
_LOW = np.uint64(0xFFFFFFFF)


@helper
def _insert(text, start, length, first, second, slots, slot, tag, arena, starts, records, n_entries):
    """Make entry `n_entries` of a piece; False when there is no room."""
    at = starts[n_entries]
    if n_entries >= records.shape[0] or 8 * n_entries >= 5 * slots.size or at + length + N_SPARE > arena.size:
        return False
    slots[slot] = (tag << HALF) | np.uint64(n_entries + 1)
    for k in range(length):
        arena[at + k] = text[start + k]
    starts[n_entries + 1] = at + length
    records[n_entries, KEY] = first
    records[n_entries, REST] = second
    records[n_entries, COUNT] = _NOTHING
    records[n_entries, DOCUMENTS] = _NOTHING
    records[n_entries, LAST] = _NOTHING
    return True


@helper
def _find(text, start, length, first, second, slots, arena, starts, records, n_entries):
    """Entry of a piece, `n_entries` when it was made now, -1 when there was no room to make it."""
    mask = np.uint64(slots.size - 1)
    value = hash_of(first, second)
    tag = value >> HALF
    slot = value & mask
    while slots[slot] != _NOTHING:
        if slots[slot] >> HALF == tag:
            entry = (slots[slot] & _LOW) - _ONE
            if records[entry, KEY] == first and records[entry, REST] == second:
                if second < LONG or equals(text, start, arena, starts[entry], length):
                    return np.int64(entry)
        slot = (slot + _ONE) & mask
    if _insert(text, start, length, first, second, slots, slot, tag, arena, starts, records, n_entries):
        return n_entries
    return -1


@inlined
def _likely_slots(keys, found, n, slots):
    """Write to found[:n] what the slot that most likely holds each key holds: its first, or the one after it.

    Without a branch, so that the processor waits for many slots at once; likewise `_count_found`.
    """
    mask = np.uint64(slots.size - 1)
    for k in range(n):
        value = hash_of(keys[k, 0], keys[k, 1])
        at_once = slots[value & mask]
        next_to_it = slots[(value + _ONE) & mask]
        found[k] = at_once if at_once >> HALF == value >> HALF else next_to_it


@inlined
def _count_found(keys, found, owners, n, n_before, records):
    """Count the pieces whose entry found[:n] names, by adding 0 where it names another; the others' numbers to found.

    Returns how many others there are: those whose entry is elsewhere or new, and those of 16 bytes or more.
    """
    n_others = 0
    for k in range(n):
        first, second, held = keys[k, 0], keys[k, 1], found[k]
        entry = (held & _LOW) - np.uint64(held != _NOTHING)
        is_it = (records[entry, KEY] == first) & (records[entry, REST] == second)
        is_it &= (held != _NOTHING) & (second < LONG)
        number = np.uint64(n_before + owners[k] + 1)
        last = records[entry, LAST]
        records[entry, COUNT] += np.uint64(is_it)
        records[entry, DOCUMENTS] += np.uint64(is_it & (last != number))
        records[entry, LAST] = number if is_it else last
        found[n_others] = np.uint64(k)
        n_others += not is_it
    return n_others


@helper
def _read_pieces(text, doc_starts, ends, firsts, chosen, keys, pieces, owners, document, piece):
    """Fill keys, pieces and owners from piece `piece` of `document` on; returns (how many, document, piece)."""
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
            keys[n, 0], keys[n, 1] = key_of(text, start, end - start)
            pieces[n] = k
            owners[n] = document
            start = end
            n += 1
        piece = stop
    return n, document, piece


@kernel
def add_documents(
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
            records[entry, COUNT] += _ONE
            records[entry, DOCUMENTS] += np.uint64(records[entry, LAST] != number)
            records[entry, LAST] = number
            other += 1
        if document >= chosen.size:
            return n_entries, document, piece, other, n_others
        n, document, piece = _read_pieces(text, doc_starts, ends, firsts, chosen, keys, pieces, owners, document, piece)
        _likely_slots(keys, found, n, slots)
        n_others = _count_found(keys, found, owners, n, n_before, records)
        other = 0


@kernel
def add_weighted(text, ends, weights, documents, slots, arena, starts, records, keys, found, n_entries, piece, entries):
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
            keys[k, 0], keys[k, 1] = key_of(text, start, end - start)
            start = end
        _likely_slots(keys, found, n, slots)
        start = begin
        for k in range(n):
            first, second = keys[k, 0], keys[k, 1]
            entry = np.int64(found[k] & _LOW) - 1
            end = ends[piece]
            if entry < 0 or second >= LONG or records[entry, KEY] != first or records[entry, REST] != second:
                entry = _find(text, start, end - start, first, second, slots, arena, starts, records, n_entries)
                if entry < 0:
                    return n_entries, piece
                n_entries += entry == n_entries
            records[entry, COUNT] += weights[piece]
            if documents.size > 0:
                records[entry, DOCUMENTS] += documents[piece]
            entries[piece] = entry
            start = end
            piece += 1
    return n_entries, piece


@kernel
def refill(slots, records, n_entries):
    mask = np.uint64(slots.size - 1)
    for entry in range(n_entries):
        value = hash_of(records[entry, KEY], records[entry, REST])
        slot = value & mask
        while slots[slot] != _NOTHING:
            slot = (slot + _ONE) & mask
        slots[slot] = (value >> HALF << HALF) | np.uint64(entry + 1)
