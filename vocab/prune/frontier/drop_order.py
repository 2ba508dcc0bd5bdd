"""One pruning order read at many sizes: the vocabulary at a size holds that at every smaller size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vocab.arrays import Mask
from vocab.prune.methods.distill import distill, drop_cheapest
from vocab.prune.methods.pricing import PriceBook


def distilled_at(book: PriceBook, numbers: Sequence[int], protected: Mask) -> Iterator[Mask]:
    """Yield the kept mask (bool[n_tokens]) for each of `numbers` of tokens, which must fall; changes the book.

    Tokens are distilled to the first number at which any must be dropped. From there the cheapest are dropped, and
    none is restored. Prices are exact: they are brought up to date at every number and after a few dozen tokens.
    Raises ValueError for a number below the protected tokens.
    """
    for n_keep in numbers:
        reduce = distill if book.kept.all() else drop_cheapest
        reduce(book, n_keep, protected)
        yield book.kept.copy()
