"""RawRows of floats in the formats of checkpoints: decoded to float64 for a mean, rounded to nearest, ties to even.

bfloat16 is the upper half of a float32; NumPy has no such type.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}

RawRows = npt.NDArray[np.uint8]  # [n_rows, row_bytes]
Floats = npt.NDArray[np.float64]  # [n_rows, width]


def decode(rows: RawRows, dtype: str) -> Floats:
    """Values of rows of raw bytes."""
    values = np.ascontiguousarray(rows).view(np.dtype(DTYPES[dtype]).newbyteorder("<"))
    if dtype == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return values.astype(np.float64)


def encode(values: Floats, dtype: str) -> RawRows:
    """Raw bytes of values; a value that is too large becomes infinite."""
    with np.errstate(over="ignore"):
        if dtype == "BF16":
            rounded = _bfloat16(values.astype(np.float32)).astype("<u2")
        else:
            rounded = values.astype(np.dtype(DTYPES[dtype]).newbyteorder("<"))
    return np.ascontiguousarray(rounded).view(np.uint8)


def _bfloat16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> 16) & 1))) >> 16
    return np.where(np.isnan(values), np.uint32(0x7FC0), rounded).astype(np.uint16)


def means(rows: RawRows, lengths: npt.NDArray[np.int64], dtype: str) -> Floats:
    """The mean of each group of rows, the groups one after another with `lengths` rows each, none empty."""
    starts = np.cumsum(lengths) - lengths
    totals: Floats = np.add.reduceat(decode(rows, dtype), starts, axis=0)
    return totals / lengths[:, None]
