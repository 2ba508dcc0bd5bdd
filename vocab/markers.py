"""Added tokens that are text stand between two bytes that no UTF-8 holds, wherever text is split and counted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MARKER = 0xFF
MARKER_BYTE = b"\xff"


def marked(text: str) -> bytes:
    """An added token as a piece of prepared text."""
    return MARKER_BYTE + text.encode() + MARKER_BYTE


def is_marked(piece: bytes) -> bool:
    """Whether a piece of prepared text is an added token between markers."""
    return len(piece) > 2 and piece[0] == piece[-1] == MARKER != piece[1]


def marked_rows(blob: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Numbers of the pieces blob[starts[w] : starts[w + 1]] that are marked tokens, int64, rising."""
    rows = np.flatnonzero(np.diff(starts) > 2)
    rows = rows[blob[starts[rows]] == MARKER]
    rows = rows[(blob[starts[rows] + 1] != MARKER) & (blob[starts[rows + 1] - 1] == MARKER)]
    found: npt.NDArray[np.int64] = rows.astype(np.int64, copy=False)
    return found
