"""Kernels that encode pieces of text by a table from pieces to ids; those that are new are encoded and entered.

A table is `slots` uint64[a power of two, 4]: the two words of a piece's key, and its ids. Up to three ids of a piece of
up to 15 bytes are in the slot itself. All others are in `held_ids` int32, and the bytes of longer pieces in `held_text`
uint8. Slots of some hundred pieces are read before any of them is encoded: then cache misses overlap.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, inlined, kernel
from vocab.compilation.piece_keys import HALF, LONG, equals, hash_of, key_of
from vocab.compilation.words import prefetch
from vocab.encoding.piece_merges_kernels import PATH, mark_of, merge_piece

LONGEST = 200  # bytes of a piece that is held, or encoded here; longer ones are rare
N_INLINE = 3  # ids in a slot, and places that are written for each piece
N_CHUNK = 256

# What `encode_pieces` returns.
DONE = 0
NEED_IDS = 1  # `ids` is full
NEED_ROOM = 2  # the table is full
NEED_LATER = 3  # a piece has to be encoded elsewhere

# Where it stands: places of `state`, int64.
PIECE = 0
BEGIN = 1  # first byte of that piece
N_IDS = 2
DOCUMENT = 3  # the first one whose first id is not noted
N_LATER = 4  # rows of `later` that are done
# What the table holds: places of `used`, int64.
N_ENTRIES = 0
TEXT_USED = 1
IDS_USED = 2

# Words of a slot.
_KEY = 0
_REST = 1
_IDS = 2  # the first two ids, or where the bytes and the ids are
_SIZE = 3  # the third id and above it how many there are; or with 0 above, how many are elsewhere

_NOTHING = np.uint64(0)
_ONE = np.uint64(1)
_TWO = np.uint64(2)
_LOW = np.uint64(0xFFFFFFFF)
_MARKER = 0xFF


@inlined
def _find(text, start, length, first, second, slots, held_text):
    """Slot of a piece, or -1 - the free slot where it belongs."""
    mask = np.uint64(slots.shape[0] - 1)
    slot = hash_of(first, second) & mask
    while slots[slot, _REST] != _NOTHING:
        if slots[slot, _KEY] == first and slots[slot, _REST] == second:
            if second < LONG or equals(text, start, held_text, np.int64(slots[slot, _IDS] & _LOW), length):
                return np.int64(slot)
        slot = (slot + _ONE) & mask
    return -1 - np.int64(slot)


@inlined
def _has_room(slots, held_text, held_ids, used):
    """Whether any piece can be entered."""
    return (
        8 * used[N_ENTRIES] < 5 * slots.shape[0]
        and used[TEXT_USED] + LONGEST <= held_text.size
        and used[IDS_USED] + LONGEST <= held_ids.size
    )


@helper
def _enter(text, start, length, first, second, slot, ids, at, n, slots, held_text, held_ids, used):
    """Enter a piece whose n ids are ids[at : at + n] into a free slot."""
    slots[slot, _KEY] = first
    slots[slot, _REST] = second
    used[N_ENTRIES] += 1
    if second < LONG and n <= N_INLINE:
        words = np.uint64(ids[at])
        if n > 1:
            words |= np.uint64(ids[at + 1]) << HALF
        slots[slot, _IDS] = words
        slots[slot, _SIZE] = (np.uint64(ids[at + 2]) if n > 2 else _NOTHING) | np.uint64(n) << HALF
        return
    slots[slot, _IDS] = np.uint64(used[TEXT_USED]) | np.uint64(used[IDS_USED]) << HALF
    slots[slot, _SIZE] = np.uint64(n)
    if second >= LONG:
        for k in range(length):
            held_text[used[TEXT_USED] + k] = text[start + k]
        used[TEXT_USED] += length
    for k in range(n):
        held_ids[used[IDS_USED] + k] = ids[at + k]
    used[IDS_USED] += n


@inlined
def _write_inline(words, size, ids, n_ids):
    """Write the ids of a slot and leave what is written past them; returns how many there are, 0 for elsewhere."""
    at = np.uint64(n_ids)
    ids[at] = np.int32(words & _LOW)
    ids[at + _ONE] = np.int32(words >> HALF)
    ids[at + _TWO] = np.int32(size & _LOW)
    return np.int64(size >> HALF)


@inlined
def _write_held(slots, slot, held_ids, ids, n_ids):
    """Write the ids of a slot, wherever they are; returns how many there are."""
    n = _write_inline(slots[slot, _IDS], slots[slot, _SIZE], ids, n_ids)
    if n == 0:
        n = np.int64(slots[slot, _SIZE])
        at = np.int64(slots[slot, _IDS] >> HALF)
        for k in range(n):
            ids[n_ids + k] = held_ids[at + k]
    return n


@helper
def _later_row(piece, later, state):
    """The row of `later` that has a piece, or -1; rows before it are done."""
    while state[N_LATER] < later.shape[0] and later[state[N_LATER], 0] < piece:
        state[N_LATER] += 1
    row = state[N_LATER]
    return row if row < later.shape[0] and later[row, 0] == piece else -1


@inlined
def _is_straight(text, start, length, merges):
    """Whether a piece is encoded here when it is new: not an added token between markers."""
    return merges and length <= LONGEST and text[start] != _MARKER


@helper
def _encode_new(text, start, length, piece, tokens, merges, work, later, later_ids, state, ids, n_ids):
    """Write the ids of a piece that the table does not hold; returns how many, 0 if it is to be encoded elsewhere."""
    n = 0
    if _is_straight(text, start, length, merges):
        n = merge_piece(text, start, length, *tokens, work)
        for k in range(n):
            ids[n_ids + k] = work[PATH, k]
    if n == 0:
        row = _later_row(piece, later, state)
        if row >= 0:
            n = later[row, 2]
            for k in range(n):
                ids[n_ids + k] = later_ids[later[row, 1] + k]
    return n


@inlined
def _encode_slowly(text, start, end, piece, table, tokens, merges, work, later, later_ids, state, ids, n_ids):
    """Write the ids of a piece that is not where it is looked for first; returns how many, or -1 times what is needed.

    A new piece is entered into the table.
    """
    slots, held_text, held_ids, used = table
    length = end - start
    first, second = key_of(text, start, length)
    slot = _find(text, start, length, first, second, slots, held_text)
    if slot >= 0:
        return _write_held(slots, slot, held_ids, ids, n_ids)
    if not _has_room(slots, held_text, held_ids, used):
        return np.int64(-NEED_ROOM)
    n = _encode_new(text, start, length, piece, tokens, merges, work, later, later_ids, state, ids, n_ids)
    if n == 0:
        return np.int64(-NEED_LATER)
    if length <= LONGEST:
        _enter(text, start, length, first, second, -1 - slot, ids, n_ids, n, *table)
    return np.int64(n)


@inlined
def _look_up(text, ends, piece, begin, n, slots, chunk):
    """Write to chunk the last two words of each piece's slot, 0 where it is not in its first or in the one after that.

    The hashes of those that are not are in the last column; returns how many. Without a branch, so that the processor
    waits for many slots at once.
    """
    mask = np.uint64(slots.shape[0] - 1)
    start = begin
    n_missing = _NOTHING
    for k in range(np.uint64(n)):
        end = ends[np.uint64(piece) + k]
        first, second = key_of(text, start, end - start)
        value = hash_of(first, second)
        slot, other = value & mask, (value + _ONE) & mask
        is_first = (slots[slot, _KEY] == first) & (slots[slot, _REST] == second)
        is_other = (slots[other, _KEY] == first) & (slots[other, _REST] == second)
        slot = slot if is_first else other
        is_held = is_first | is_other
        chunk[k, 0] = slots[slot, _IDS]
        chunk[k, 1] = slots[slot, _SIZE] if is_held else _NOTHING
        chunk[n_missing, 2] = value
        n_missing += np.uint64(not is_held)
        start = end
    return n_missing


@inlined
def _prefetch_tokens(chunk, n_missing, token_slots, token_keys, marks):
    """Ask for the memory that looking up the missing pieces as tokens will read."""
    for k in range(n_missing):
        prefetch(marks, mark_of(chunk[k, 2], marks))
        prefetch(token_slots, chunk[k, 2] & np.uint64(token_slots.size - 1))
    for k in range(n_missing):
        held = token_slots[chunk[k, 2] & np.uint64(token_slots.size - 1)]
        prefetch(token_keys, _TWO * ((held & _LOW) - np.uint64(held != _NOTHING)))


@kernel
def encode_pieces(
    text,
    ends,
    firsts,
    slots,
    held_text,
    held_ids,
    used,
    blob,
    starts,
    token_slots,
    token_keys,
    marks,
    singles,
    pairs,
    merges,
    work,
    chunk,
    state,
    later,
    later_ids,
    ids,
    id_firsts,
):
    """Write the ids of pieces from where `state` stands, and to id_firsts how many ids are before each document.

    Document d has the pieces from firsts[d] on. With `merges` new pieces are merged here, with the tokens that
    `fill_tokens` has entered; all others must be in `later` int64[n, 3]: piece, where its ids are in `later_ids` int32,
    and how many there are, in the order of pieces. `work` and `chunk` are room to work in. Returns DONE or what is
    needed to go on.
    """
    table = (slots, held_text, held_ids, used)
    tokens = (blob, starts, token_slots, token_keys, marks, singles, pairs)
    piece, begin, n_ids, document = state[PIECE], state[BEGIN], state[N_IDS], state[DOCUMENT]
    next_first = firsts[document]
    status = DONE
    while piece < ends.size and status == DONE:
        n = min(chunk.shape[0], ends.size - piece)
        if n_ids + (ends[piece + n - 1] - begin) + N_INLINE > ids.size:
            status = NEED_IDS
            break
        n_missing = _look_up(text, ends, piece, begin, n, slots, chunk)
        if merges:
            _prefetch_tokens(chunk, n_missing, token_slots, token_keys, marks)
        for k in range(np.uint64(n)):
            while piece == next_first:
                id_firsts[document] = n_ids
                document += 1
                next_first = firsts[document]
            n_new = _write_inline(chunk[k, 0], chunk[k, 1], ids, n_ids)
            end = ends[np.uint64(piece)]
            if n_new == 0:
                n_new = _encode_slowly(
                    text, begin, end, piece, table, tokens, merges, work, later, later_ids, state, ids, n_ids
                )
                if n_new < 0:
                    status = -n_new
                    break
            n_ids += n_new
            begin = end
            piece += 1
    if status == DONE:
        for d in range(document, firsts.size):
            id_firsts[d] = n_ids
    state[PIECE], state[BEGIN], state[N_IDS], state[DOCUMENT] = piece, begin, n_ids, document
    return status


@kernel
def list_later(text, ends, slots, held_text, merges, most_bytes, state, later):
    """List pieces that have to be encoded elsewhere, from where `state` stands: the piece, its first byte, its length.

    Returns how many there are: as many as `later` int64[n, 3] has rows, and about `most_bytes` of them, at most.
    """
    n = n_bytes = 0
    begin = state[BEGIN]
    for piece in range(state[PIECE], ends.size):
        length = ends[piece] - begin
        if n == 0 or not _is_straight(text, begin, length, merges):
            first, second = key_of(text, begin, length)
            if n == 0 or _find(text, begin, length, first, second, slots, held_text) < 0:
                later[n, 0], later[n, 1], later[n, 2] = piece, begin, length
                n += 1
                n_bytes += length
                if n == later.shape[0] or n_bytes > most_bytes:
                    break
        begin = ends[piece]
    return n


@kernel
def refill(old, slots):
    """Enter all that another table's slots have."""
    mask = np.uint64(slots.shape[0] - 1)
    for row in range(old.shape[0]):
        if old[row, _REST] != _NOTHING:
            slot = hash_of(old[row, _KEY], old[row, _REST]) & mask
            while slots[slot, _REST] != _NOTHING:
                slot = (slot + _ONE) & mask
            for k in range(4):
                slots[slot, k] = old[row, k]
