"""Sets of characters as a split asks about them: each a mask over all code points, and from it the ranges."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from vocab.splitting.class_runs import members
from vocab.splitting.classes import CASELESS, DIGIT, LETTER, LOWER, SPACE, UPPER, class_table

Mask = npt.NDArray[np.bool_]

_KERNEL_BITS = {
    r"\p{L}": LETTER,
    r"\p{N}": DIGIT,
    r"\s": SPACE,
    # Known patterns name these only together: Lu with Lt, and Lm with Lo and M.
    r"\p{Lu}": UPPER,
    r"\p{Lt}": UPPER,
    r"\p{Ll}": LOWER,
    r"\p{Lm}": CASELESS,
    r"\p{Lo}": CASELESS,
    r"\p{M}": CASELESS,
}
_KERNEL_ESCAPE = re.compile("|".join(map(re.escape, _KERNEL_BITS)))


def set_by_regex(atom: str, *, ignores_case: bool) -> Mask:
    """Members of a class, an escape or a character, as the `regex` package knows Unicode; bool[0x110000]."""
    return members(f"(?i:{atom})" if ignores_case else atom).astype(np.bool_)


def set_by_kernels(atom: str, *, ignores_case: bool) -> Mask:
    """The same, as the compiled splitters know Unicode."""
    if atom == r"\S":
        return _without_surrogates(~set_by_kernels(r"\s", ignores_case=ignores_case))
    escapes = _KERNEL_ESCAPE.findall(atom)
    rest = _KERNEL_ESCAPE.sub("", atom)
    negates = rest.startswith("[^")
    mask = np.zeros(class_table().size, dtype=np.bool_)
    for escape in escapes:
        mask |= (class_table() & _KERNEL_BITS[escape]) > 0
    if rest not in ("", "[]", "[^]"):
        mask |= set_by_regex(rest.replace("[^", "[", 1) if negates else rest, ignores_case=ignores_case)
    return _without_surrogates(~mask) if negates else mask


def _without_surrogates(mask: Mask) -> Mask:
    mask[0xD800:0xE000] = False
    return mask


def ranges_of(mask: Mask) -> list[int]:
    """Where the runs of a mask begin and end, in turns, each as its distance from the one before."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [int(distance) for distance in np.diff(edges, prepend=0)]
