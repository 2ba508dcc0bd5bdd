"""Split patterns as Numba state machines: UTF-8 bytes in, ends of pre-tokens out, no regular expression engine.

Each `*_end` function returns where what starts at byte i ends, no later than byte `stop`, the end of the document.
The alternatives of a pattern are told apart by the classes of a pre-token's first two characters, which are looked
up once; runs of ASCII letters and of spaces are then measured eight bytes at a time. Text must be valid UTF-8; a
truncated character never reads past the end of its document.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import inlined, kernel
from vocab.compilation.words import load8, n_low_zeros, n_zero_bytes
from vocab.splitting.classes import CASELESS, DIGIT, LETTER, LOWER, NEWLINE, SPACE, UPPER
from vocab.splitting.window_kernels import N_WINDOW, begins_in_ascii, cl100k_starts, gpt2_starts

_HEAD = UPPER | CASELESS  # [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]
_TAIL = LOWER | CASELESS  # [\p{Ll}\p{Lm}\p{Lo}\p{M}]
_WORD = LETTER | DIGIT
_FULL = SPACE | _WORD  # what [^\s\p{L}\p{N}] leaves out

# Eight bytes at once: the high bit of each byte carries the answer.
_NOTHING = np.uint64(0)
_HIGH = np.uint64(0x8080808080808080)
_SEVEN = np.uint64(0x7F7F7F7F7F7F7F7F)
_CASE = np.uint64(0x2020202020202020)  # the bit between a and A, and eight spaces
_FROM_A = np.uint64(0x1F1F1F1F1F1F1F1F)  # added to seven bits, reaches the high bit from "a" on
_PAST_Z = np.uint64(0x0505050505050505)  # the same after "z"


@inlined
def n_letters(word, either_case):
    """How many bytes of a word, from the lowest on, are a to z, or a to z and A to Z: 0 to 8."""
    if either_case:
        word |= _CASE
    low = word & _SEVEN
    is_letter = (low + _FROM_A) & ~(low + _PAST_Z) & ~word & _HIGH
    return n_zero_bytes(is_letter ^ _HIGH)


@inlined
def char_at(text, i, stop, table):
    """(class bits, width in bytes) of the character that starts at byte i."""
    b = text[np.uint64(i)]
    if b < 0x80:
        return table[np.uint64(b)], 1
    if b < 0xE0:
        if i + 2 <= stop:
            return table[np.uint64((b & 0x1F) << 6 | (text[np.uint64(i + 1)] & 0x3F))], 2
    elif b < 0xF0:
        if i + 3 <= stop:
            tail = (text[np.uint64(i + 1)] & 0x3F) << 6 | (text[np.uint64(i + 2)] & 0x3F)
            return table[np.uint64((b & 0x0F) << 12 | tail)], 3
    elif i + 4 <= stop:
        tail = (text[np.uint64(i + 2)] & 0x3F) << 6 | (text[np.uint64(i + 3)] & 0x3F)
        return table[np.uint64((b & 0x07) << 18 | (text[np.uint64(i + 1)] & 0x3F) << 12 | tail)], 4
    return np.uint8(0), stop - i


@inlined
def letters_end(text, i, stop, table, wanted, either_case):
    """End of the run from byte i of characters having one of the wanted bits.

    These are all letters (LETTER, either_case) or those that end a word (_TAIL, not either_case).
    """
    while True:
        while i + 8 <= text.size:
            n = n_letters(load8(text, i), either_case)
            i += n
            if n < 8:
                break
        while True:
            if i >= stop:
                return stop
            bits, width = char_at(text, i, stop, table)
            if bits & wanted == 0:
                return i
            i += width
            if width == 1:  # ASCII again
                break


@inlined
def run_end(text, i, stop, table, wanted):
    """End of the longest run from byte i of characters having one of the wanted bits."""
    while i < stop:
        bits, width = char_at(text, i, stop, table)
        if bits & wanted == 0:
            break
        i += width
    return i


@inlined
def _symbols_end(text, i, stop, table):
    r"""End of `[^\s\p{L}\p{N}]*` from byte i."""
    while i < stop:
        bits, width = char_at(text, i, stop, table)
        if bits & _FULL != 0:
            break
        i += width
    return i


@inlined
def line_ends_end(text, i, stop, slash):
    r"""End of `[\r\n]*` from byte i, or with `slash` of `[\r\n/]*`."""
    while i < stop:
        b = text[np.uint64(i)]
        if b != 10 and b != 13 and not (slash and b == 47):
            break
        i += 1
    return i


@inlined
def _contraction_end(text, i, stop, ignore_case):
    """End of 's 't 'm 'd 'll 've 're at the apostrophe at byte i, or i; ſ is an s where case is ignored."""
    if i + 1 >= stop:
        return i
    case = 0x20 if ignore_case else 0
    a = text[i + 1] | case
    if a == 115 or a == 116 or a == 109 or a == 100:
        return i + 2
    if i + 2 >= stop:
        return i
    if ignore_case and text[i + 1] == 0xC5 and text[i + 2] == 0xBF:
        return i + 3
    b = text[i + 2] | case
    if (a == 108 and b == 108) or ((a == 118 or a == 114) and b == 101):
        return i + 3
    return i


@inlined
def _digits_end(text, i, stop, table, most):
    """End of up to `most` digits from byte i."""
    for _ in range(most):
        if i >= stop:
            break
        bits, width = char_at(text, i, stop, table)
        if bits & DIGIT == 0:
            break
        i += width
    return i


@inlined
def space_end(text, i, stop, table, by_line, whole_at_end):
    r"""End of white space from byte i: \s*[\r\n]+ where by_line, then \s+(?!\S), then \s+ (or one \s)."""
    j = i
    last = i
    line_end = i
    while j < stop:
        if j + 8 <= stop:
            n = n_zero_bytes(load8(text, j) ^ _CASE)
            if n > 0:
                j += n
                last = j - 1
                continue
        bits, width = char_at(text, j, stop, table)
        if bits & SPACE == 0:
            break
        last = j
        j += width
        if bits & NEWLINE != 0:
            line_end = j
    if j == stop and whole_at_end:
        return j
    if by_line and line_end > i:
        return line_end
    if j == stop or last == i:
        return j
    return last


@inlined
def _gpt2_end(text, i, stop, table):
    b = text[i]
    if b == 39:
        end = _contraction_end(text, i, stop, False)
        if end > i:
            return end
    start = i + 1 if b == 32 and i + 1 < stop else i
    bits, width = char_at(text, start, stop, table)
    if bits & LETTER != 0:
        return letters_end(text, start + width, stop, table, LETTER, True)
    if bits & DIGIT != 0:
        return run_end(text, start + width, stop, table, DIGIT)
    if bits & SPACE == 0:
        return _symbols_end(text, start + width, stop, table)
    return space_end(text, i, stop, table, False, False)


@inlined
def _cl100k_end(text, i, stop, table, max_digits, whole_at_end):
    bits, width = char_at(text, i, stop, table)
    if bits & LETTER != 0:
        return letters_end(text, i + width, stop, table, LETTER, True)
    if bits & DIGIT != 0:
        return _digits_end(text, i + width, stop, table, max_digits - 1)
    j = i + width
    next_bits, next_width = np.uint8(SPACE), 0  # the end of the document is like white space
    if j < stop:
        next_bits, next_width = char_at(text, j, stop, table)
    b = text[np.uint64(i)]
    if b == 39:
        end = _contraction_end(text, i, stop, True)
        if end > i:
            return end
    if next_bits & LETTER != 0 and bits & NEWLINE == 0:
        return letters_end(text, j + next_width, stop, table, LETTER, True)
    if bits & SPACE == 0 or (b == 32 and next_bits & _FULL == 0):
        if next_bits & _FULL == 0:
            j = _symbols_end(text, j + next_width, stop, table)
        return line_ends_end(text, j, stop, False)
    return space_end(text, i, stop, table, True, whole_at_end)


@inlined
def _cased_end(text, i, stop, table, upper_alone):
    """End of `[upper]*[lower]+`, or with `upper_alone` else `[upper]+`, from byte i, or i; both hold the caseless."""
    middle = i
    last_caseless = i
    while middle < stop:
        bits, width = char_at(text, middle, stop, table)
        if bits & _HEAD == 0:
            break
        middle += width
        if bits & CASELESS != 0:
            last_caseless = middle
    end = letters_end(text, middle, stop, table, _TAIL, False)
    if end > middle:
        return end
    return middle if upper_alone and last_caseless == i else last_caseless


@inlined
def _o200k_end(text, i, stop, table, max_digits, contractions):
    bits, width = char_at(text, i, stop, table)
    if bits & DIGIT != 0:
        return _digits_end(text, i + width, stop, table, max_digits - 1)
    start = i if bits & LETTER != 0 else i + width
    if bits & NEWLINE == 0:
        # A mark, when no word goes on after it, is one itself, before upper case alone too.
        is_mark = bits & (LETTER | CASELESS) == CASELESS
        end = _cased_end(text, start, stop, table, not is_mark)
        if end > start or is_mark:
            if contractions and end < stop and text[np.uint64(end)] == 39:
                return _contraction_end(text, end, stop, True)
            return end
    if bits & SPACE == 0:
        end = _symbols_end(text, start, stop, table)
        return line_ends_end(text, end, stop, True)
    if text[np.uint64(i)] == 32:
        end = _symbols_end(text, start, stop, table)
        if end > start:
            return line_ends_end(text, end, stop, True)
    return space_end(text, i, stop, table, True, False)


@inlined
def _write_ends(starts, i, ends, n):
    """Write the ends of the pre-tokens before these starts of a window at byte i; returns (last start, n)."""
    while starts != _NOTHING:
        ends[n] = i + n_low_zeros(starts)
        starts &= starts - np.uint64(1)
        n += 1
    return ends[n - 1], n


# Each family has a kernel of its own, so that only the one in use is compiled.


@kernel
def split_gpt2(text, doc_starts, table, max_digits, whole_at_end, ends, firsts, document, n):
    """Write the end of each pre-token of documents `document` and later to ends[n:], what `firsts` holds to firsts.

    `max_digits` and `whole_at_end` are for the other families. Returns (document, n) when `ends` is full or all is
    done: then document is the number of documents. Called again with these and longer `ends`, it goes on.
    """
    i = ends[n - 1] if n > 0 else doc_starts[0]
    while document < doc_starts.size - 1:
        stop = doc_starts[document + 1]
        while i < stop:
            if n == ends.size:
                return document, n
            if i + N_WINDOW <= stop and n + N_WINDOW <= ends.size and begins_in_ascii(text, i):
                starts = gpt2_starts(text, i)
                if starts != _NOTHING:
                    i, n = _write_ends(starts, i, ends, n)
                    continue
            i = _gpt2_end(text, i, stop, table)
            ends[n] = i
            n += 1
        document += 1
        firsts[document] = n
    return document, n


@kernel
def split_cl100k(text, doc_starts, table, max_digits, whole_at_end, ends, firsts, document, n):
    """As `split_gpt2`: up to `max_digits` digits stay together, and white space at the end if `whole_at_end`."""
    i = ends[n - 1] if n > 0 else doc_starts[0]
    while document < doc_starts.size - 1:
        stop = doc_starts[document + 1]
        while i < stop:
            if n == ends.size:
                return document, n
            if i + N_WINDOW <= stop and n + N_WINDOW <= ends.size and begins_in_ascii(text, i):
                starts = cl100k_starts(text, i, max_digits)
                if starts != _NOTHING:
                    i, n = _write_ends(starts, i, ends, n)
                    continue
            i = _cl100k_end(text, i, stop, table, max_digits, whole_at_end)
            ends[n] = i
            n += 1
        document += 1
        firsts[document] = n
    return document, n


@kernel
def split_o200k(text, doc_starts, table, max_digits, contractions, ends, firsts, document, n):
    """As `split_gpt2`: up to `max_digits` digits stay together, and with `contractions` a word has its 's and 'll."""
    i = ends[n - 1] if n > 0 else doc_starts[0]
    while document < doc_starts.size - 1:
        stop = doc_starts[document + 1]
        while i < stop:
            if n == ends.size:
                return document, n
            i = _o200k_end(text, i, stop, table, max_digits, contractions)
            ends[n] = i
            n += 1
        document += 1
        firsts[document] = n
    return document, n
