"""Kernels of mining: characters of pre-tokens, and substrings of them counted one length after the other.

Slots stand for characters, in the order of the pre-tokens; a dead one (id below 0) ends each run of them. A substring
is known by the ids of its two parts that are one character shorter, so no bytes are compared.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, inlined, kernel

# Columns of a record, one for each distinct substring of a length.
KEY = 0
COUNT = 1
DOCUMENTS = 2
LAST = 3  # the last pre-token that held it, plus 1
FIRST = 4  # its first slot
N_COLUMNS = 5

_NOTHING = np.uint64(0)
_ONE = np.uint64(1)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX_AGAIN = np.uint64(0xD6E8FEB86659FD93)


@helper
def _character(blob, at, end):
    """(code point, bytes) of the character at byte `at`; (-1, 1) where no whole one begins."""
    byte = np.int64(blob[at])
    if byte < 0x80:
        return byte, 1
    if byte < 0xC2 or byte > 0xF4:
        return np.int64(-1), 1
    width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
    if at + width > end:
        return np.int64(-1), 1
    code = byte & (0x7F >> width)
    for k in range(1, width):
        if blob[at + k] & 0xC0 != 0x80:
            return np.int64(-1), 1
        code = (code << 6) | np.int64(blob[at + k] & 0x3F)
    is_shortest = code >= (0x80 if width == 2 else 0x800 if width == 3 else 0x10000)
    if not is_shortest or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        return np.int64(-1), 1
    return code, width


@kernel
def fill_slots(blob, starts, ids, owners, begins, filling):
    """A slot for each character of each pre-token and a dead one after them; returns how many.

    With `filling` their code points go to ids, their pre-tokens to owners, their first bytes to begins.
    """
    n = 0
    for w in range(starts.size - 1):
        at, end = starts[w], starts[w + 1]
        while at < end:
            code, width = _character(blob, at, end)
            if filling:
                ids[n] = code
                owners[n] = w
                begins[n] = at
            n += 1
            at += width
        if filling:
            ids[n] = -1
            owners[n] = w
            begins[n] = end
        n += 1
    return n


@inlined
def _key_at(ids, p, is_single):
    """What stands for the substring at slot p: one character, or two ids that overlap in all but one; -1 for none."""
    left = np.int64(ids[p])
    if is_single or left < 0:
        return left
    right = np.int64(ids[p + 1])
    return (left << np.int64(32)) | right if right >= 0 else np.int64(-1)


@inlined
def _hash(key):
    value = np.uint64(key) * _MIX
    value ^= value >> _HALF
    value *= _MIX_AGAIN
    return value ^ (value >> _HALF)


@inlined
def _share_of(value, n_shares):
    """Which of the shares of all keys a hash belongs to."""
    return ((value >> _HALF) * np.uint64(n_shares)) >> _HALF


@kernel
def count_substrings(ids, owners, is_single, share, n_shares, counts, documents, slots, records, n_entries, p, entries):
    """Count the substrings at slots p and later whose keys belong to a share; their entries go to `entries`.

    `slots` uint64[a power of two] and `records` int64[room, N_COLUMNS] are the table so far, of n_entries. `documents`
    may be empty. Returns (n_entries, slot that there was no room for or the number of slots).
    """
    mask = np.uint64(slots.size - 1)
    while p < ids.size:
        key = _key_at(ids, p, is_single)
        if key < 0:
            p += 1
            continue
        value = _hash(key)
        if _share_of(value, n_shares) != np.uint64(share):
            p += 1
            continue
        tag = value >> _HALF
        slot = value & mask
        entry = np.int64(-1)
        while slots[slot] != _NOTHING:
            held = slots[slot]
            if held >> _HALF == tag:
                other = np.int64(held & _LOW) - 1
                if records[other, KEY] == key:
                    entry = other
                    break
            slot = (slot + _ONE) & mask
        if entry < 0:
            if n_entries >= records.shape[0] or 8 * n_entries >= 5 * slots.size:
                return n_entries, p
            entry = n_entries
            n_entries += 1
            slots[slot] = (tag << _HALF) | np.uint64(entry + 1)
            records[entry, KEY] = key
            records[entry, COUNT] = 0
            records[entry, DOCUMENTS] = 0
            records[entry, LAST] = 0
            records[entry, FIRST] = p
        owner = np.int64(owners[p])
        records[entry, COUNT] += counts[owner]
        if records[entry, LAST] != owner + 1:
            records[entry, LAST] = owner + 1
            if documents.size > 0:
                records[entry, DOCUMENTS] += documents[owner]
        entries[p] = entry
        p += 1
    return n_entries, p


@kernel
def refill(slots, records, n_entries):
    """Put the entries into a larger empty table."""
    mask = np.uint64(slots.size - 1)
    for entry in range(n_entries):
        value = _hash(records[entry, KEY])
        slot = value & mask
        while slots[slot] != _NOTHING:
            slot = (slot + _ONE) & mask
        slots[slot] = (value >> _HALF << _HALF) | np.uint64(entry + 1)


@kernel
def renumber(ids, owners, begins, is_single, n_shares, entries, offsets, numbers):
    """Give each slot the number of its substring, -1 for a rare one, and close up; returns how many slots are left.

    `numbers` are those of the entries of all shares, share s from offsets[s] on. Of dead slots that follow one another
    the first is left.
    """
    n = 0
    last = np.int32(-1)
    for p in range(ids.size):
        key = _key_at(ids, p, is_single)
        number = np.int32(-1)
        if key >= 0:
            number = numbers[offsets[_share_of(_hash(key), n_shares)] + entries[p]]
        if number >= 0 or last >= 0:
            ids[n] = number
            owners[n] = owners[p]
            begins[n] = begins[p]
            n += 1
        last = number
    return n
