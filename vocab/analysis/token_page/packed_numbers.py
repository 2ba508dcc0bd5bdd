"""Whole numbers as text that a page unpacks: seven bits a byte, lowest first, and the bytes in base64."""

from __future__ import annotations

import base64

import numpy as np
import numpy.typing as npt

_BITS, _MORE = 7, 0x80


def packed_bytes(raw: bytes | npt.NDArray[np.uint8]) -> str:
    """Bytes in base64."""
    return base64.b64encode(bytes(raw)).decode("ascii")


def packed_numbers(numbers: npt.ArrayLike) -> str:
    """Numbers from 0 to 2**53, in LEB128 and then base64."""
    left = np.asarray(numbers, dtype=np.int64)
    columns: list[npt.NDArray[np.uint8]] = []
    is_there: list[npt.NDArray[np.bool_]] = []
    has_more = np.ones(left.size, dtype=np.bool_)
    while has_more.any() or not columns:
        rest = left >> _BITS
        columns.append((left & (_MORE - 1) | np.where(rest > 0, _MORE, 0)).astype(np.uint8))
        is_there.append(has_more)
        has_more = has_more & (rest > 0)
        left = rest
    table, mask = np.stack(columns, axis=1), np.stack(is_there, axis=1)
    return packed_bytes(np.ascontiguousarray(table[mask]))


def packed_signed(numbers: npt.ArrayLike) -> str:
    """The same of numbers of either sign: 0, -1, 1, -2 … become 0, 1, 2, 3 and so on."""
    signed = np.asarray(numbers, dtype=np.int64)
    return packed_numbers(np.where(signed < 0, -2 * signed - 1, 2 * signed))
