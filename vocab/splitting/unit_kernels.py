"""The kernel that cuts text into units: lines with their line ends, which superwords may fill."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import inlined, kernel
from vocab.splitting.classes import SPACE
from vocab.splitting.split_kernels import char_at


@inlined
def _line_end(text, i, stop, table):
    r"""End of `[^\r\n]++(?:\s*[\r\n])?|\s*[\r\n]` from byte i: a line, and white space to its last line end."""
    while i < stop and text[np.uint64(i)] != 10 and text[np.uint64(i)] != 13:
        i += 1
    end = i
    while i < stop:
        bits, width = char_at(text, i, stop, table)
        if bits & SPACE == 0:
            break
        i += width
        if width == 1 and (text[np.uint64(i - 1)] == 10 or text[np.uint64(i - 1)] == 13):
            end = i
    return end


@kernel
def split_lines(text, doc_starts, table, max_digits, option, ends, firsts, document, n):
    """As `split_gpt2` of `split_kernels`: lines with their line ends, blank lines with the line before them."""
    i = ends[n - 1] if n > 0 else doc_starts[0]
    while document < doc_starts.size - 1:
        stop = doc_starts[document + 1]
        while i < stop:
            if n == ends.size:
                return document, n
            i = _line_end(text, i, stop, table)
            ends[n] = i
            n += 1
        document += 1
        firsts[document] = n
    return document, n
