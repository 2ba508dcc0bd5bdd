"""Arrays as kernels take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)

# Whether each thing belongs to a selection, a bool for each.
Mask = npt.NDArray[np.bool_]
# Ids, numbers of things or counts of them.
Ints = npt.NDArray[np.int64]
# Text end to end in UTF-8.
Utf8 = npt.NDArray[np.uint8]
# Ids of tokens, or numbers of tokens.
Tokens = npt.NDArray[np.int32]

# The highest id. The largest vocabularies have a million ids, and a file may claim any.
MAX_ID = (1 << 24) - 1


def frozen(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """A read-only view. Numba compiles a kernel once more for read-only arrays, so inputs always are."""
    view = array.view()
    view.setflags(write=False)
    return view


def end_to_end(texts: Sequence[bytes]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Byte strings in one read-only buffer, uint8, and the offset of each, int64[n + 1]."""
    starts = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in texts], out=starts[1:])
    return np.frombuffer(b"".join(texts), dtype=np.uint8), starts


def in_groups(texts: Sequence[bytes], n_bytes: int = 4 << 20) -> Iterator[Sequence[bytes]]:
    """Byte strings in their order, in groups of about `n_bytes`."""
    first = size = 0
    for k, text in enumerate(texts):
        size += len(text)
        if size >= n_bytes:
            yield texts[first : k + 1]
            first, size = k + 1, 0
    if first < len(texts):
        yield texts[first:]
