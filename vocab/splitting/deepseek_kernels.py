r"""The main split pattern of DeepSeek V3 as a state machine; see `split_kernels`.

It matches letters with marks, punctuation and symbols, and white space. What it does not match, such as the digits and
the Chinese and Japanese text that the splits before it have cut, stays together up to the next match.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import inlined, kernel
from vocab.compilation.words import load8
from vocab.splitting.classes import LETTER, MARK, NEWLINE, SPACE, SYMBOL
from vocab.splitting.split_kernels import char_at, letters_end, line_ends_end, n_letters, run_end, space_end

_WORD = LETTER | MARK


@inlined
def _ascii_letters_end(text, i, stop):
    """End of `[A-Za-z]*` from byte i."""
    while i + 8 <= stop:
        n = n_letters(load8(text, i), True)
        i += n
        if n < 8:
            return i
    while i < stop and 97 <= text[np.uint64(i)] | 0x20 <= 122:
        i += 1
    return i


@inlined
def _match_end(text, i, stop, table):
    r"""End of the match that begins at byte i, or i where none does.

    The alternatives in order: `[!-/:-@\[-`{-~][A-Za-z]+`, `[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+`,
    ` ?[\p{P}\p{S}]+[\r\n]*`, `\s*[\r\n]+`, `\s+(?!\S)`, `\s+`.
    """
    bits, width = char_at(text, i, stop, table)
    if bits & LETTER != 0:
        return letters_end(text, i + width, stop, table, _WORD, True)
    j = i + width
    next_bits, next_width = np.uint8(0), 0
    if j < stop:
        next_bits, next_width = char_at(text, j, stop, table)
    if bits & SYMBOL != 0:
        if width == 1 and next_width == 1 and next_bits & LETTER != 0:
            return _ascii_letters_end(text, j, stop)
        return line_ends_end(text, run_end(text, j, stop, table, SYMBOL), stop, False)
    if bits & NEWLINE == 0:
        if next_bits & _WORD != 0:
            return letters_end(text, j + next_width, stop, table, _WORD, True)
        if bits & MARK != 0:
            return j
        if text[np.uint64(i)] == 32 and next_bits & SYMBOL != 0:
            return line_ends_end(text, run_end(text, j + next_width, stop, table, SYMBOL), stop, False)
    if bits & SPACE != 0:
        return space_end(text, i, stop, table, True, False)
    return i


@inlined
def _deepseek_end(text, i, stop, table):
    """End of a match, or of what no match begins in."""
    end = _match_end(text, i, stop, table)
    if end > i:
        return end
    while i < stop:
        _, width = char_at(text, i, stop, table)
        i += width
        if i < stop and _match_end(text, i, stop, table) > i:
            break
    return i


@kernel
def split_deepseek(text, doc_starts, table, max_digits, option, ends, firsts, document, n):
    """As `split_gpt2`, which says what is passed; `max_digits` and `option` are for other families."""
    i = ends[n - 1] if n > 0 else doc_starts[0]
    while document < doc_starts.size - 1:
        stop = doc_starts[document + 1]
        while i < stop:
            if n == ends.size:
                return document, n
            i = _deepseek_end(text, i, stop, table)
            ends[n] = i
            n += 1
        document += 1
        firsts[document] = n
    return document, n
