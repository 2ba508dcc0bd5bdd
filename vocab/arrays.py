"""Arrays as kernels take them."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Scalar = TypeVar("Scalar", bound=np.generic)


def frozen(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """A read-only view. Numba compiles a kernel once more for read-only arrays, so inputs always are."""
    view = array.view()
    view.setflags(write=False)
    return view
