"""Expected uses of tokens under a Unigram model, by the forward-backward algorithm over a lattice."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import helper, kernel


class Room(NamedTuple):
    """What one pre-token needs, float64: a place a byte and one more, and for `weights` a place an edge."""

    best: npt.NDArray[np.float64]
    before: npt.NDArray[np.float64]
    after: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]


def new_room(starts: npt.NDArray[np.int64], edge_starts: npt.NDArray[np.int64], a: int, b: int) -> Room:
    """Room for any of the pre-tokens a … b - 1 of a lattice."""
    n_bytes = int(np.diff(starts[a : b + 1]).max(initial=0)) + 1
    n_edges = int(np.diff(edge_starts[starts[a : b + 1]]).max(initial=1))
    best, before, after = np.empty((3, n_bytes))
    return Room(best, before, after, np.empty(n_edges))


@helper
def _find_best(lattice, logs, first, n_bytes, best):
    """Write to best[i] the log-probability of the best way to byte i, minus infinity where none leads."""
    for i in range(1, n_bytes + 1):
        best[i] = -np.inf
    best[0] = 0.0
    for i in range(n_bytes):
        begin, stop = lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]
        if begin == stop:
            best[i + 1] = max(best[i + 1], best[i])
        for e in range(begin, stop):
            end = i + lattice.edge_lengths[e]
            best[end] = max(best[end], best[i] + logs[lattice.edge_tokens[e]])


@helper
def _expect(lattice, logs, count, w, uses, room):
    """One pre-token. Sums are relative to the best way to each place, so that none vanishes or grows out of range."""
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    best, before, after, weights = room
    _find_best(lattice, logs, first, n_bytes, best)
    edge_zero = lattice.edge_starts[first]
    for i in range(1, n_bytes + 1):
        before[i] = 0.0
    before[0] = 1.0
    for i in range(n_bytes):
        begin, stop = lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]
        for e in range(begin, stop):
            end = i + lattice.edge_lengths[e]
            weight = np.exp(best[i] + logs[lattice.edge_tokens[e]] - best[end]) if before[i] > 0.0 else 0.0
            weights[e - edge_zero] = weight
            before[end] += before[i] * weight
        if begin == stop and before[i] > 0.0:
            before[i + 1] += before[i] * np.exp(best[i] - best[i + 1])
    after[n_bytes] = 1.0
    for i in range(n_bytes - 1, -1, -1):
        begin, stop = lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]
        after[i] = after[i + 1] * np.exp(best[i] - best[i + 1]) if begin == stop and before[i] > 0.0 else 0.0
        for e in range(begin, stop):
            after[i] += weights[e - edge_zero] * after[i + lattice.edge_lengths[e]]
    for i in range(n_bytes):
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            way = before[i] * weights[e - edge_zero] * after[i + lattice.edge_lengths[e]]
            uses[lattice.edge_tokens[e]] += count * (way / before[n_bytes])
    return best[n_bytes] + np.log(before[n_bytes])


@kernel
def expected_uses(lattice, logs, counts, a, b, uses, room):
    """Add to `uses` (float64 a token) how often pre-tokens a … b are expected to use each.

    `logs` are logarithms of probabilities, float64 a token. Bytes at which no token begins are passed over. Returns the
    log-likelihood: that of all ways to cut each pre-token together, times its count.
    """
    likelihood = 0.0
    for w in range(a, b):
        if counts[w] > 0:
            likelihood += counts[w] * _expect(lattice, logs, counts[w], w, uses, room)
    return likelihood
