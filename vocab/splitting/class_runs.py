r"""Regular expressions that are a run of one class of characters, such as `\p{N}{1,3}`: one kernel runs them all."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import regex

from vocab.splitting.classes import LETTER, MARK, N_CODE_POINTS, NEWLINE, SPACE, SYMBOL

_CLASS = r"\\[pPdDsS](?:(?<=[pP])\{\w+\})?|\[(?:\\.|[^\[\]\\&])+\]"
_RUN = re.compile(rf"(?P<open>\(\?:)?(?P<set>{_CLASS})(?(open)\))(?:(?P<many>\+\+?)|\{{1,(?P<most>\d+)\}})?")


class ClassRun(NamedTuple):
    """A run of one class.

    Attributes:
        characters: the class, as a regular expression.
        longest: the most characters of a run; 0 for any number.
    """

    characters: str
    longest: int


@cache
def class_run(pattern: str) -> ClassRun | None:
    """What a regular expression says if it is a run of one class; None for any other."""
    found = _RUN.fullmatch(pattern)
    if not found:
        return None
    longest = 0 if found["many"] else int(found["most"] or 1)
    return ClassRun(found["set"], longest) if longest or found["many"] else None


@cache
def members(characters: str) -> npt.NDArray[np.uint8]:
    """1 for each code point that is in a class, uint8[0x110000], read-only; the `regex` package decides."""
    table = np.zeros(N_CODE_POINTS, dtype=np.uint8)
    text = _all_characters()
    for found in regex.finditer(f"(?:{characters})+", text):
        table[ord(text[found.start()]) : ord(text[found.end() - 1]) + 1] = 1
    table[0xD800:0xE000] = 0
    table.setflags(write=False)
    return table


@cache
def _all_characters() -> str:
    """Every code point but the surrogates, in order."""
    return "".join(chr(code) for code in range(N_CODE_POINTS) if not 0xD800 <= code < 0xE000)


@cache
def symbol_table() -> npt.NDArray[np.uint8]:
    """Class bits of every code point with marks and symbols, uint8[0x110000], read-only; by the `regex` package."""
    table = members(r"\p{L}") * np.uint8(LETTER) | members(r"\p{M}") * np.uint8(MARK)
    table |= members(r"[\p{P}\p{S}]") * np.uint8(SYMBOL) | members(r"\s") * np.uint8(SPACE)
    table[[10, 13]] |= NEWLINE
    table.setflags(write=False)
    return table
