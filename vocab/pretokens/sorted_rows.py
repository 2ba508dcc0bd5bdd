"""Sorted rows of pre-tokens and values, and their sums."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.arrays import frozen


@dataclass(frozen=True)
class Rows:
    """Pre-tokens in byte order, each once: pre-token k is blob[starts[k] : starts[k + 1]], its values values[k]."""

    blob: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    values: npt.NDArray[np.uint64]

    @property
    def n_rows(self) -> int:
        return self.starts.size - 1

    def pretoken(self, k: int) -> bytes:
        return self.blob[self.starts[k] : self.starts[k + 1]].tobytes()

    def slice(self, first: int, last: int) -> Rows:
        """Rows first … last - 1, without copying pre-tokens."""
        starts = self.starts[first : last + 1]
        return Rows(self.blob[starts[0] : starts[-1]], starts - starts[0], self.values[first:last])

    def n_at_most(self, bound: bytes) -> int:
        """How many rows have a pre-token that is not after `bound`."""
        low, high = 0, self.n_rows
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.pretoken(middle) <= bound else (low, middle)
        return low


def sum_rows(parts: Sequence[Rows], n_threads: int = 1) -> Rows:
    """The rows of several tables in byte order, values of equal pre-tokens added: pairs of tables, then pairs of pairs.

    Pairs are cut in two at a pre-token of about the middle, so that two threads have work even for the last.
    """
    if len(parts) == 1:
        return parts[0]
    pieces = [piece for k in range(0, len(parts) - 1, 2) for piece in _halves(parts[k], parts[k + 1])]
    if n_threads > 1:
        with ThreadPoolExecutor(n_threads) as pool:
            merged = list(pool.map(_sum_of_two, pieces))
    else:
        merged = [_sum_of_two(piece) for piece in pieces]
    sums = [concatenate_rows(merged[k : k + 2]) for k in range(0, len(merged), 2)]
    return sum_rows([*sums, *parts[len(parts) // 2 * 2 :]], n_threads)


def _halves(one: Rows, other: Rows) -> list[tuple[Rows, Rows]]:
    longer = one if one.n_rows >= other.n_rows else other
    if longer.n_rows == 0:
        return [(one, other), (one, other)]
    middle = longer.pretoken(longer.n_rows // 2)
    a, b = one.n_at_most(middle), other.n_at_most(middle)
    return [(one.slice(0, a), other.slice(0, b)), (one.slice(a, one.n_rows), other.slice(b, other.n_rows))]


def _sum_of_two(pair: tuple[Rows, Rows]) -> Rows:
    from vocab.pretokens.sorted_row_kernels import merge_rows

    one, other = pair
    n_most = one.n_rows + other.n_rows
    blob = np.empty(one.blob.size + other.blob.size, dtype=np.uint8)
    starts = np.empty(n_most + 1, dtype=np.int64)
    values = np.empty((n_most, one.values.shape[1]), dtype=np.uint64)
    inputs = [frozen(array) for rows in pair for array in (rows.blob, rows.starts, rows.values)]
    n = int(merge_rows(*inputs, blob, starts, values))
    return Rows(blob[: starts[n]], starts[: n + 1], values[:n])


def concatenate_rows(parts: Sequence[Rows]) -> Rows:
    """Rows of several tables, of which all of one come before all of the next."""
    before = np.cumsum([0] + [rows.blob.size for rows in parts])
    starts = [rows.starts[:-1] + n for rows, n in zip(parts, before[:-1], strict=True)]
    return Rows(
        np.concatenate([rows.blob for rows in parts]),
        np.concatenate([*starts, before[-1:]]),
        np.concatenate([rows.values for rows in parts]),
    )
