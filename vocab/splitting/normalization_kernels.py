"""Which documents hold characters that a normal form of Unicode may change."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs
from __future__ import annotations

import numpy as np

from vocab.compilation.kernels import kernel


@kernel
def documents_with_marks(text, doc_starts, table, first, found):
    """Set found[d] where a character from `first` on (below it none counts) is in `table`. Text must be UTF-8."""
    least = 0x80 if first < 0x80 else 0xC0 | first >> 6  # no lead byte below this begins such a character
    for d in range(doc_starts.size - 1):
        i, stop = doc_starts[d], doc_starts[d + 1]
        while i < stop:
            b = np.int64(text[i])
            if b < least:
                i += 1
                continue
            if b < 0xE0:
                width, code = 2, b & 0x1F
            elif b < 0xF0:
                width, code = 3, b & 0x0F
            else:
                width, code = 4, b & 0x07
            if i + width > stop:
                found[d] = True
                break
            for k in range(1, width):
                code = code << 6 | np.int64(text[i + k]) & 0x3F
            if code >= first and (code >= table.size or table[code]):
                found[d] = True
                break
            i += width
