"""`Splits`: what cuts documents into the pieces that are counted."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt


class Splits(Protocol):
    """What cuts documents into the pieces that are counted: a `SplitPattern`, or one that cuts further."""

    @property
    def sha256(self) -> str: ...

    def prepared_documents(
        self, text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]: ...

    def ends_of_documents(
        self, text: npt.NDArray[np.uint8], doc_starts: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]: ...
