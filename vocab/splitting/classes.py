"""Character classes that split patterns ask about, one byte a code point."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

N_CODE_POINTS = 0x110000

LETTER = 1  # \p{L}
DIGIT = 2  # \p{N}
SPACE = 4  # \s
NEWLINE = 8  # [\r\n]
UPPER = 16  # \p{Lu} \p{Lt}
LOWER = 32  # \p{Ll}
CASELESS = 64  # \p{Lm} \p{Lo} \p{M}: both sides of a case boundary accept them
# In `symbol_table` alone, beside LETTER, SPACE and NEWLINE.
MARK = 16  # \p{M}
SYMBOL = 32  # \p{P} \p{S}


@cache
def class_table() -> npt.NDArray[np.uint8]:
    """Class bits of every code point, uint8[0x110000], read-only; runs from unicode_classes.txt."""
    text = (files(__package__) / "unicode_classes.txt").read_text(encoding="ascii")
    runs = [line.split() for line in text.splitlines()]
    starts = np.array([int(start, 16) for start, _ in runs] + [N_CODE_POINTS])
    table = np.repeat(np.array([int(bits) for _, bits in runs], dtype=np.uint8), np.diff(starts))
    table.setflags(write=False)
    return table
