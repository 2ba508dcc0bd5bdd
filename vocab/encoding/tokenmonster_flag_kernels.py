"""Kernels of what TokenMonster's look-ahead asks about tokens; see `tokenmonster_flags`."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import helper, kernel

# Bits of a token's flags; the first five are TokenMonster's own. Words that begin in the token are counted above them.
ENDS_WITH_LETTER = 1
BEGINS_WITH_LETTER = 2
BEGINS_WITH_SPACE = 4
IS_PLAIN_WORD = 32  # a space and one word of nothing but letters
IS_UNIFORM = 128  # all letters, all digits, or neither
IS_TOO_LONG = 256
# What a first byte says of the text that begins with it: the start of a letter, a space, neither of both but no digit.
FIRST_IS_LETTER = 512
FIRST_IS_SPACE = 1024
FIRST_IS_OTHER = 2048
WORDS_SHIFT = 12

# TokenMonster leaves out longer tokens when it imports a vocabulary, so they never come up here either.
MAX_TOKEN_BYTES = 40

# Kinds of characters, as bits.
LETTER = 1  # combining marks too
NUMBER = 2
WHITE = 4
SPACE = 8  # U+0020 itself
UNDERSCORE = 16
_ALNUM = LETTER | NUMBER
_WORD = LETTER | UNDERSCORE


@helper
def _kind_at(blob, i, end, kinds):
    """(kind, width) of the character at byte i; (0, 1) where none begins or ends before `end`, (0, 0) at the end."""
    if i >= end:
        return 0, 0
    byte = blob[i]
    if byte < 0x80:
        return kinds[byte], 1
    if byte < 0xC2 or byte > 0xF4:
        return 0, 1
    width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
    if i + width > end:
        return 0, 1
    code = np.int64(byte & (0x7F >> width))
    for k in range(1, width):
        if blob[i + k] & 0xC0 != 0x80:
            return 0, 1
        code = (code << 6) | (blob[i + k] & 0x3F)
    is_shortest = code >= (0x80 if width == 2 else 0x800 if width == 3 else 0x10000)
    if not is_shortest or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        return 0, 1
    return kinds[code], width


@helper
def _kind_before(blob, begin, end, kinds):
    """Kind of the character that ends at byte `end`; 0 where none does."""
    for i in range(end - 1, max(begin, end - 4) - 1, -1):
        if blob[i] & 0xC0 != 0x80:
            kind, width = _kind_at(blob, i, end, kinds)
            return kind if i + width == end else 0
    return 0


@helper
def _cut_priority(blob, begin, cut, end, kinds):
    """TokenMonster's order of places: before a word's space 10, between kinds 9, at white space 8 and 7, others 1."""
    if blob[cut] == 0x20 and _kind_at(blob, cut + 1, end, kinds)[0] & _ALNUM:
        return 10
    left = _kind_before(blob, begin, cut, kinds)
    right = _kind_at(blob, cut, end, kinds)[0]
    if (left & _WORD != 0) != (right & _WORD != 0) or (left & NUMBER) != (right & NUMBER):
        return 9
    if (left & WHITE) != (right & WHITE):
        return 7 if left & WHITE else 8
    return 1


@helper
def _is_uniform(blob, begin, end, kinds):
    """(letters throughout, letters or numbers or neither throughout); spaces do not count.

    The first two characters decide which of the three it may be.
    """
    kind, width = _kind_at(blob, begin, end, kinds)
    following, next_width = _kind_at(blob, begin + width, end, kinds)
    letters = (kind & (LETTER | SPACE)) != 0 and following & LETTER != 0
    numbers = not letters and (kind & (NUMBER | SPACE)) != 0 and following & NUMBER != 0
    neither = not letters and not numbers and (kind | following) & _ALNUM == 0
    i = begin + width + next_width
    while i < end:
        kind, width = _kind_at(blob, i, end, kinds)
        letters = letters and kind & (LETTER | SPACE) != 0
        numbers = numbers and kind & (NUMBER | SPACE) != 0
        neither = neither and kind & _ALNUM == 0
        i += width
    return letters, letters or numbers or neither


@helper
def _n_words(blob, begin, end, kinds):
    """Words that begin in a token: a space with a letter, mark or number after it."""
    n = 0
    for i in range(begin, end):
        if blob[i] == 0x20 and _kind_at(blob, i + 1, end, kinds)[0] & _ALNUM:
            n += 1
    return n


@kernel
def fill_flags(blob, starts, kinds, first_bytes, flags, cuts):
    """Fill the flags (int32 a token) and cuts (uint8 a byte) of tokens (blob uint8, starts int64[n + 1]).

    `kinds` are the kind bits of every code point, uint8[0x110000]; `first_bytes` the FIRST_ bit of each byte, int32.
    """
    for t in range(starts.size - 1):
        begin, end = starts[t], starts[t + 1]
        flag = first_bytes[blob[begin]]
        kind = _kind_at(blob, begin, end, kinds)[0]
        ends_with_letter = _kind_before(blob, begin, end, kinds) & LETTER != 0
        begins_word = kind & SPACE != 0 and _kind_at(blob, begin + 1, end, kinds)[0] & _ALNUM != 0
        letters, uniform = _is_uniform(blob, begin, end, kinds)
        n_words = _n_words(blob, begin, end, kinds)
        if kind & SPACE:
            flag |= BEGINS_WITH_SPACE
        if kind & LETTER:
            flag |= BEGINS_WITH_LETTER
        if ends_with_letter:
            flag |= ENDS_WITH_LETTER
        if begins_word and ends_with_letter and letters and n_words == 1:
            flag |= IS_PLAIN_WORD
        if uniform or end - begin == 1:
            flag |= IS_UNIFORM
        if end - begin > MAX_TOKEN_BYTES:
            flag |= IS_TOO_LONG
        flags[t] = flag | (n_words << WORDS_SHIFT)
        # Of several words that begin with a space, the space alone is no alternative.
        for cut in range(begin + (2 if begins_word and n_words > 1 else 1), end):
            cuts[cut] = _cut_priority(blob, begin, cut, end, kinds)
