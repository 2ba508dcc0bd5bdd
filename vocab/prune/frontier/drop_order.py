"""One pruning order read at many sizes: what lives at a size holds what lives at every smaller one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from vocab.prune.methods.distill import distill, drop_cheapest
from vocab.prune.methods.pricing import PriceBook

Alive = npt.NDArray[np.bool_]


def distilled_along(book: PriceBook, numbers: Sequence[int], protected: Alive) -> Iterator[Alive]:
    """What lives (bool[n_tokens]) when so many tokens are kept, for falling numbers; changes the book.

    Tokens are distilled to the first number at which any must go. From there the cheapest go under exact prices,
    brought up to date at every number and after a few dozen tokens; none comes back. Raises ValueError for a number
    below the protected tokens.
    """
    for n_keep in numbers:
        reduce = distill if book.alive.all() else drop_cheapest
        reduce(book, n_keep, protected)
        yield book.alive.copy()
