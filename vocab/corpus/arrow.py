"""Arrow's strings as the flat arrays that kernels take."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def blob_and_starts(array: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of a large string or large binary array without nulls.

    Returns:
        blob, uint8, and starts, int64[n + 1]: value k is blob[starts[k] : starts[k + 1]].
    """
    _, offsets, data = array.buffers()
    starts = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    blob = np.frombuffer(data, dtype=np.uint8) if data else np.empty(0, dtype=np.uint8)
    return blob[starts[0] : starts[-1]], starts - starts[0]


def numbers(array: pa.Array) -> npt.NDArray[Any]:
    """Whole numbers of an array without nulls; `to_numpy` would import pandas where that is installed."""
    dtype = np.dtype(str(array.type))
    return np.frombuffer(array.buffers()[1], dtype=dtype)[array.offset : array.offset + len(array)]
