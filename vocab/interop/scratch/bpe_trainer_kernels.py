"""Kernels that train byte-level BPE from counted pre-tokens: the most frequent pair is merged, again and again.

The merges are those of Hugging Face's trainer (tokenizers, `models/bpe/trainer.rs`), so its order is kept in all:

- The highest count is merged first, and of equal counts the pair of smaller ids.
- An entry of the queue holds the words in which its pair was found by one merge. Only these are merged with it.
- An entry waits under the count that it was given. When its turn comes and the pair's count is another, it waits again.
- A merge does not change the count of its own pair. A token that two pairs spell is one token.

Counts are int64, where that trainer has int32. `vocab.interop.scratch.bpe_trainer` holds the arrays and makes room.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import helper, inlined, kernel
from vocab.interop.scratch.bpe_queue_kernels import next_entry, wait
from vocab.interop.scratch.bpe_table_kernels import (
    LONGEST,
    N_ENTRIES,
    N_HEAP,
    N_LOGGED,
    N_MERGES,
    N_PAIRS,
    N_TOKENS,
    N_TOUCHED,
    add_merged,
    slot_made,
    slot_of,
)

# What `merge_pairs` comes back with.
DONE = 0
EXHAUSTED = 1  # no pair occurs any more
LACKS_PAIRS = 2  # of each of these there has to be more room
LACKS_ENTRIES = 3
LACKS_HEAP = 4
LACKS_MERGES = 5
LACKS_BYTES = 6

_NO_WORD = np.int32(-1)


class Words(NamedTuple):
    """Distinct pre-tokens as ids of tokens; word w is symbols[starts[w] : starts[w] + lengths[w]]."""

    symbols: npt.NDArray[np.int32]  # [n_bytes]
    starts: npt.NDArray[np.int64]  # [n_words + 1]
    lengths: npt.NDArray[np.int32]  # [n_words]
    counts: npt.NDArray[np.int64]  # [n_words]


class Step(NamedTuple):
    """What one merge changes, by its neighbours: x before it is x, y behind it is n_tokens + y."""

    amounts: npt.NDArray[np.int64]  # occurrences beside that neighbour, [2 · room for tokens]
    n_words: npt.NDArray[np.int64]  # words that hold the new pair, and then where they begin, likewise
    last: npt.NDArray[np.int32]  # of these the last, likewise
    slots: npt.NDArray[np.int64]  # of the new pair, likewise
    touched: npt.NDArray[np.int32]  # neighbours whose amount is above 0, likewise
    logged: npt.NDArray[np.int32]  # neighbour and word of each new pair in a word, [n_bytes, 2]


# One merge


@inlined
def _touch(step, side, count, state):
    """Count occurrences beside a neighbour."""
    if step.amounts[side] == 0:
        step.touched[state[N_TOUCHED]] = side
        state[N_TOUCHED] += 1
    step.amounts[side] += count


@inlined
def _log(step, side, word, state):
    """Note that a word holds the new pair with a neighbour, once a word."""
    if step.last[side] != word:
        step.last[side] = word
        step.n_words[side] += 1
        step.logged[state[N_LOGGED], 0] = side
        step.logged[state[N_LOGGED], 1] = word
        state[N_LOGGED] += 1


@inlined
def _merge_word(words, word, i, first, second, new, step, room, state):
    """Merge a pair in one word, whose first occurrence is at symbol i."""
    symbols, start, n, count = words.symbols, words.starts[word], words.lengths[word], words.counts[word]
    j = i
    while i < n:
        if symbols[start + i] != first or i + 1 >= n or symbols[start + i + 1] != second:
            symbols[start + j] = symbols[start + i]
            i += 1
        else:
            if j > 0:
                before = symbols[start + j - 1]
                _touch(step, before, count, state)
                _log(step, before, word, state)
            if i + 2 < n:
                after = symbols[start + i + 2]
                _touch(step, room + after, count, state)
                _log(step, after if after == new else room + after, word, state)  # (new, new) is one pair on both sides
            symbols[start + j] = new
            i += 2
        j += 1
    words.lengths[word] = j


@helper
def _merge_words(words, listed, a, b, first, second, new, step, room, state):
    """Merge a pair in the words listed[a:b] that hold it."""
    symbols = words.symbols
    for k in range(a, b):
        word = listed[k]
        at = words.starts[word]
        stop = at + words.lengths[word] - 1
        i = at
        while i < stop and (symbols[i] != first or symbols[i + 1] != second):
            i += 1
        if i < stop:
            _merge_word(words, word, i - at, first, second, new, step, room, state)


@helper
def _change_counts(pairs, first, second, new, step, room, state):
    """Take the pairs that the merge broke off their counts and add the new ones."""
    keys, counts = pairs.keys, pairs.counts
    for k in range(state[N_TOUCHED]):
        side = np.int64(step.touched[k])
        amount = step.amounts[side]
        step.amounts[side] = 0
        if side < room:
            broken, made = side << 32 | first, side << 32 | new
        else:
            broken, made = second << 32 | (side - room), new << 32 | (side - room)
        counts[slot_of(keys, broken)] -= amount
        slot = slot_made(keys, counts, made, state)
        counts[slot] += amount
        step.slots[side] = slot
        if side == room + new:
            step.slots[new] = slot


@helper
def _make_entry(pairs, entries, heap, step, side, state):
    """Make the entry of the new pair with a neighbour, where it occurs; its words are to be filled in."""
    n = step.n_words[side]
    step.last[side] = _NO_WORD
    step.n_words[side] = -1
    count = pairs.counts[step.slots[side]]
    if n == 0 or count <= 0:
        return
    entry = state[N_ENTRIES]
    entries.pairs[entry] = pairs.keys[step.slots[side]]
    step.n_words[side] = entries.starts[entry]
    entries.starts[entry + 1] = entries.starts[entry] + n
    state[N_ENTRIES] += 1
    wait(entries, heap, entry, count, state)


@helper
def _queue_new(pairs, entries, heap, new, step, room, state):
    """Put the new pairs into the queue, each with its words."""
    for k in range(state[N_TOUCHED]):
        side = step.touched[k]
        if side == room + new and step.last[new] != _NO_WORD:
            side = np.int32(new)
        if step.last[side] != _NO_WORD:
            _make_entry(pairs, entries, heap, step, side, state)
    for k in range(state[N_LOGGED]):
        side = step.logged[k, 0]
        if step.n_words[side] >= 0:
            entries.words[step.n_words[side]] = step.logged[k, 1]
            step.n_words[side] += 1
    for k in range(state[N_LOGGED]):
        step.n_words[step.logged[k, 0]] = 0
    state[N_TOUCHED] = 0
    state[N_LOGGED] = 0


@helper
def _lacking(pairs, entries, heap, merges, tokens, state):
    """What may have too little room for the next merge, or DONE."""
    most_new = 2 * state[N_TOKENS] + 2
    if 8 * (state[N_PAIRS] + most_new) > 5 * pairs.keys.size:
        return LACKS_PAIRS
    if state[N_ENTRIES] + most_new > entries.pairs.size:
        return LACKS_ENTRIES
    if state[N_HEAP] + most_new > heap.shape[0]:
        return LACKS_HEAP
    if state[N_MERGES] >= merges.shape[0]:
        return LACKS_MERGES
    if tokens.starts[state[N_TOKENS]] + 2 * state[LONGEST] > tokens.blob.size:
        return LACKS_BYTES
    return DONE


@kernel
def merge_pairs(words, pairs, entries, heap, merges, tokens, step, state, n_tokens):
    """Merge until there are `n_tokens`; returns DONE, EXHAUSTED, or what has too little room.

    Each merge goes to merges (int32[room, 2]), and may be one of a pair that was merged before.
    """
    room = step.amounts.size // 2
    while state[N_TOKENS] < n_tokens:
        lacking = _lacking(pairs, entries, heap, merges, tokens, state)
        if lacking != DONE:
            return lacking
        entry = next_entry(pairs, entries, heap, state)
        if entry < 0:
            return EXHAUSTED if entry == -1 else LACKS_HEAP
        first, second = entries.pairs[entry] >> 32, entries.pairs[entry] & 0xFFFFFFFF
        new = add_merged(tokens, first, second, state)
        merges[state[N_MERGES], 0], merges[state[N_MERGES], 1] = first, second
        state[N_MERGES] += 1
        listed, a, b = entries.words, entries.starts[entry], entries.starts[entry + 1]
        _merge_words(words, listed, a, b, first, second, new, step, room, state)
        _change_counts(pairs, first, second, new, step, room, state)
        _queue_new(pairs, entries, heap, new, step, room, state)
    return DONE


# The beginning


@kernel
def count_byte_pairs(words, amounts, n_words, last):
    """Occurrences (int64[65536]) and words (likewise) of each pair of bytes, as first << 8 | second; `last` is -1."""
    for word in range(words.lengths.size):
        for k in range(words.starts[word], words.starts[word + 1] - 1):
            pair = words.symbols[k] << 8 | words.symbols[k + 1]
            amounts[pair] += words.counts[word]
            if last[pair] != word:
                last[pair] = word
                n_words[pair] += 1


@kernel
def queue_byte_pairs(words, pairs, entries, amounts, n_words, last, state):
    """Make pairs and entries of `count_byte_pairs`; `n_words` becomes where the words of a pair stop, `last` is -1."""
    for pair in range(amounts.size):
        if n_words[pair] > 0:
            entry, key = state[N_ENTRIES], np.int64(pair >> 8) << 32 | (pair & 255)
            pairs.counts[slot_made(pairs.keys, pairs.counts, key, state)] = amounts[pair]
            entries.pairs[entry], entries.counts[entry] = key, amounts[pair]
            entries.starts[entry + 1] = entries.starts[entry] + n_words[pair]
            n_words[pair] = entries.starts[entry]
            state[N_ENTRIES] += 1
    for word in range(words.lengths.size):
        for k in range(words.starts[word], words.starts[word + 1] - 1):
            pair = words.symbols[k] << 8 | words.symbols[k + 1]
            if last[pair] != word:
                last[pair] = word
                entries.words[n_words[pair]] = word
                n_words[pair] += 1
