"""Sorted rows of pre-tokens and values, and their sums."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints, frozen

_N_SPARE = 8  # bytes after a blob that the kernel may read or write


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
    """The rows of several tables in byte order, values of equal pre-tokens added."""
    return parts[0] if len(parts) == 1 else merge_rows(parts, n_threads)[0]


def merge_rows(parts: Sequence[Rows], n_threads: int = 1) -> tuple[Rows, list[Ints]]:
    """The sum of several tables, and for each table which row of the sum each of its rows is in, int64.

    All tables are merged at once. Each thread has the rows of all of them between two pre-tokens.
    """
    whole = concatenate_rows(parts)
    firsts = np.cumsum([0] + [rows.n_rows for rows in parts])
    cuts = [firsts[:-1], *(firsts[:-1] + n for n in _shares(parts, n_threads)), firsts[1:]]
    blob = np.concatenate([whole.blob, np.zeros(_N_SPARE, dtype=np.uint8)])
    entries = np.empty(whole.n_rows, dtype=np.int64)
    inputs = frozen(blob), frozen(whole.starts), frozen(whole.values)
    with ThreadPoolExecutor(max(1, n_threads)) as pool:
        pieces = list(pool.map(lambda a, b: _merged(*inputs, a, b, entries), cuts[:-1], cuts[1:]))
    if len(pieces) == 1:
        return pieces[0], np.split(entries, firsts[1:-1])
    n_before = np.cumsum([0] + [piece.n_rows for piece in pieces])
    for k in range(1, len(pieces)):
        for first, stop in zip(cuts[k], cuts[k + 1], strict=True):
            entries[first:stop] += n_before[k]
    return concatenate_rows(pieces), np.split(entries, firsts[1:-1])


def _shares(parts: Sequence[Rows], n_shares: int) -> list[Ints]:
    """Where to cut each table so that there are shares of about equal size: rows before each cut, int64[n_tables]."""
    longest = max(parts, key=lambda rows: rows.n_rows)
    places = [longest.n_rows * k // n_shares for k in range(1, n_shares)] if longest.n_rows else []
    return [np.array([rows.n_at_most(longest.pretoken(place)) for rows in parts]) for place in places]


def _merged(
    blob: npt.NDArray[np.uint8],
    starts: Ints,
    values: npt.NDArray[np.uint64],
    firsts: Ints,
    stops: Ints,
    entries: Ints,
) -> Rows:
    """The sum of rows firsts[t] … stops[t] - 1 of each table t; writes to `entries` which row of it each row is in."""
    from vocab.pretokens.sorted_row_kernels import merge_rows as merge_by_kernel

    n_most = int((stops - firsts).sum())
    out_blob = np.empty(int((starts[stops] - starts[firsts]).sum()) + _N_SPARE, dtype=np.uint8)
    out_starts = np.empty(n_most + 1, dtype=np.int64)
    out_values = np.empty((n_most, values.shape[1]), dtype=np.uint64)
    room = np.empty(firsts.size, dtype=np.uint64), np.empty(firsts.size, dtype=np.int64)
    n = int(
        merge_by_kernel(
            blob, starts, values, firsts.copy(), frozen(stops), *room, out_blob, out_starts, out_values, entries
        )
    )
    return Rows(out_blob[: out_starts[n]], out_starts[: n + 1], out_values[:n])


def concatenate_rows(parts: Sequence[Rows]) -> Rows:
    """Rows of several tables, of which all of one come before all of the next."""
    before = np.cumsum([0] + [rows.blob.size for rows in parts])
    starts = [rows.starts[:-1] + n for rows, n in zip(parts, before[:-1], strict=True)]
    return Rows(
        np.concatenate([rows.blob for rows in parts]),
        np.concatenate([*starts, before[-1:]]),
        np.concatenate([rows.values for rows in parts]),
    )
