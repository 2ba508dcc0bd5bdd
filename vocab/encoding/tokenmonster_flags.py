"""What TokenMonster's look-ahead asks about tokens: letters at their ends, words in them, where to cut them.

Facts of a token's own bytes alone, after `PrivateGenerateVocab` of alasdairforsythe/tokenmonster `go/tokenmonster.go`
with capcode 0. Bytes are read as UTF-8; one that begins no whole character is a character of no kind.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen
from vocab.encoding import tokenmonster_flag_kernels as kernels
from vocab.splitting import classes
from vocab.splitting.classes import class_table


class TokenFlags(NamedTuple):
    """Flags of each token, and how good a place each inner byte of it is to cut it.

    `cuts[starts[t] + k]` is the priority of the first k bytes of token t as an alternative to it, 0 for never, 10 for
    the best.
    """

    flags: npt.NDArray[np.int32]
    cuts: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]

    @classmethod
    def build(cls, blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> TokenFlags:
        """Flags of the tokens (blob uint8, starts int64[n + 1])."""
        flags = np.zeros(starts.size - 1, dtype=np.int32)
        cuts = np.zeros(blob.size, dtype=np.uint8)
        blob, starts = frozen(blob), frozen(starts)
        kernels.fill_flags(blob, starts, frozen(_kinds()), frozen(_first_bytes()), flags, cuts)
        return cls(frozen(flags), frozen(cuts), starts)


def _kinds() -> npt.NDArray[np.uint8]:
    """Kind bits of every code point, uint8[0x110000]."""
    table = class_table()
    kinds = np.zeros(table.size, dtype=np.uint8)
    kinds[table & (classes.LETTER | classes.CASELESS) != 0] = kernels.LETTER
    kinds[table & classes.DIGIT != 0] |= kernels.NUMBER
    kinds[table & classes.SPACE != 0] |= kernels.WHITE
    kinds[0x20] |= kernels.SPACE
    kinds[0x5F] |= kernels.UNDERSCORE
    return kinds


def _first_bytes() -> npt.NDArray[np.int32]:
    """The FIRST_ bit of each byte, int32[256], 0 for digits, controls and bytes that begin no usual character.

    TokenMonster takes for each byte the kind that most of a vocabulary's tokens beginning with it have, if three or
    more do. This table is what that gives for cl100k_base, save that bytes within a character have no kind: dropping
    one token must not change how text is cut that does not hold it.
    """
    first = np.zeros(256, dtype=np.int32)
    letters = [*range(0x41, 0x5B), *range(0x61, 0x7B), *range(0xC3, 0xE2), *range(0xE3, 0xEE)]
    others = [0x09, 0x0A, 0x0D, *range(0x21, 0x30), *range(0x3A, 0x41), *range(0x5B, 0x61), *range(0x7B, 0x7F)]
    first[letters] = kernels.FIRST_IS_LETTER
    first[[*others, 0xC2, 0xE2, 0xEF, 0xF0]] = kernels.FIRST_IS_OTHER
    first[0x20] = kernels.FIRST_IS_SPACE
    return first
