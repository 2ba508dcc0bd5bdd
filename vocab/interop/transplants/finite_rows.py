"""Rows with a number that is not finite, found in the raw bytes of every floating type of checkpoints.

Sources: IEEE 754; for 8 bits, "FP8 Formats for Deep Learning" (arXiv 2209.05433), and "8-bit Numerical Formats for Deep
Neural Networks" (arXiv 2206.02915), whose forms without infinities and negative zero (FNUZ) have one NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vocab.errors import SourceError
from vocab.interop.transplants.float_rows import RawRows
from vocab.interop.transplants.safetensors_file import Tensor

Ids = npt.NDArray[np.int64]

# Width, and the bits that are all set in NaN and the infinities: the exponent.
_BY_EXPONENT = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F8_E5M2": ("u1", 0x7C),
    "F8_E4M3": ("u1", 0x7F),  # all bits but the sign: NaN, and there is no infinity
}
_ONE_NAN = {"F8_E4M3FNUZ": 0x80, "F8_E5M2FNUZ": 0x80}
_MINUS_INFINITY = {"F64": 0xFFF0_0000_0000_0000, "F32": 0xFF80_0000, "F16": 0xFC00, "BF16": 0xFF80}


def finite(tensor: Tensor, read: Callable[[Ids], RawRows]) -> Callable[[Ids], RawRows]:
    """A reader of rows by their numbers that raises SourceError for one with NaN or an infinity.

    Minus infinity in a bias is let through: it forbids an id.
    """
    if tensor.dtype not in _BY_EXPONENT and tensor.dtype not in _ONE_NAN:
        return read

    def checked(ids: Ids) -> RawRows:
        rows = read(ids)
        bad = _not_finite(rows, tensor)
        if bad is not None:
            raise SourceError(
                f"{tensor.name} has a number that is NaN or infinite in row {ids[bad]:,} ({tensor.dtype}): the model "
                "is damaged, or overflowed when it was saved"
            )
        return rows

    return checked


def _not_finite(rows: RawRows, tensor: Tensor) -> int | None:
    """The first row with NaN or an infinity; None where there is none."""
    rows = np.ascontiguousarray(rows)
    if tensor.dtype in _ONE_NAN:
        is_bad = rows == _ONE_NAN[tensor.dtype]
    else:
        width, mask = _BY_EXPONENT[tensor.dtype]
        bits = rows.view(width)
        is_bad = (bits & mask) == mask
        if tensor.name.endswith("bias"):
            is_bad &= bits != _MINUS_INFINITY.get(tensor.dtype, 0)
    return int(np.flatnonzero(is_bad.any(axis=1))[0]) if is_bad.any() else None
