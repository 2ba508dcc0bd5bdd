"""Splits into words with the spaces before them, and into runs of one class, as `split_kernels` does it."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import inlined, kernel
from vocab.splitting.split_kernels import char_at


@inlined
def _spaced_word_end(text, i, stop, by_line):
    """End of spaces and the word after them, or with `by_line` of one line feed or tab, from byte i."""
    b = text[np.uint64(i)]
    if by_line and (b == 10 or b == 9):
        return i + 1
    while i < stop and text[np.uint64(i)] == 32:
        i += 1
    while i < stop:
        b = text[np.uint64(i)]
        if b == 32 or (by_line and (b == 10 or b == 9)):
            break
        i += 1
    return i


@kernel
def split_spaced_words(text, doc_starts, table, max_digits, by_line, ends, firsts, document, n):
    """As `split_gpt2`: a word with the spaces before it; with `by_line` line feeds and tabs stand alone."""
    i = ends[n - 1] if n > 0 else doc_starts[0]
    while document < doc_starts.size - 1:
        stop = doc_starts[document + 1]
        while i < stop:
            if n == ends.size:
                return document, n
            i = _spaced_word_end(text, i, stop, by_line)
            ends[n] = i
            n += 1
        document += 1
        firsts[document] = n
    return document, n


@inlined
def _class_run_end(text, i, stop, table, longest):
    """The end of a run of characters that all are in a class, at most `longest` of them, or all are not; 0 for any."""
    bits, width = char_at(text, i, stop, table)
    i += width
    n = 1
    while i < stop:
        next_bits, width = char_at(text, i, stop, table)
        if (next_bits != 0) != (bits != 0) or (bits != 0 and n == longest):
            break
        i += width
        n += 1
    return min(i, stop)


@kernel
def split_class_runs(text, doc_starts, table, longest, option, ends, firsts, document, n):
    """As `split_gpt2`: runs of the characters that are in a class (`table` is not 0), and what is between them."""
    i = ends[n - 1] if n > 0 else doc_starts[0]
    while document < doc_starts.size - 1:
        stop = doc_starts[document + 1]
        while i < stop:
            if n == ends.size:
                return document, n
            i = _class_run_end(text, i, stop, table, longest)
            ends[n] = i
            n += 1
        document += 1
        firsts[document] = n
    return document, n
