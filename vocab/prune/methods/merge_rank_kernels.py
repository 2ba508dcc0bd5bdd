"""Kernels of merge order: merging by given ranks, and what a better order of them would have to look like.

Ranks are an array of their own here, so that many orders can be tried on one lattice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

# Without reference counts of arrays (_nrt): the caller holds all of them, and no such kernel allocates.
_KERNEL: dict[str, Any] = {"nogil": True, "cache": True, "_nrt": False}

_NONE = np.int32(-1)
# Of paths with equally few tokens, the one with most borders where merging has them too is the nearest.
_TOKEN = np.int64(1 << 20)


class Work(NamedTuple):
    """What one pre-token needs: room for its bytes and 1 more."""

    begins: npt.NDArray[np.int32]  # first byte of each part
    pairs: npt.NDArray[np.int32]  # token that each part and the next would make, or _NONE
    is_border: npt.NDArray[np.bool_]  # whether a token of the wanted path begins at a byte
    costs: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int32]


@njit(nogil=True, cache=True)
def _work(starts, a, b):
    room = 2
    for w in range(a, b):
        room = max(room, starts[w + 1] - starts[w] + 2)
    return Work(
        np.empty(room, dtype=np.int32),
        np.empty(room, dtype=np.int32),
        np.zeros(room, dtype=np.bool_),
        np.empty(room, dtype=np.int64),
        np.empty(room, dtype=np.int32),
    )


@njit(**_KERNEL)
def _find(lattice, alive, position, length):
    """The live token of `length` bytes at `position`, or _NONE."""
    for e in range(lattice.edge_starts[position], lattice.edge_starts[position + 1]):
        here = lattice.edge_lengths[e]
        if here >= length:
            token = lattice.edge_tokens[e]
            return token if here == length and alive[token] else _NONE
    return _NONE


@njit(**_KERNEL)
def _is_looked_up(lattice, alive, w):
    """Whether pre-token w is a token, which merging does not touch."""
    first = lattice.starts[w]
    return w < lattice.n_whole and _find(lattice, alive, first, lattice.starts[w + 1] - first) != _NONE


@njit(**_KERNEL)
def _start(lattice, alive, first, n_bytes, work):
    """One part a byte."""
    for i in range(n_bytes):
        work.begins[i] = i
        work.pairs[i] = _find(lattice, alive, first + i, 2) if i + 1 < n_bytes else _NONE
    work.begins[n_bytes] = n_bytes


@njit(**_KERNEL)
def _lowest(ranks, n, keeps_borders, work):
    """The pair of lowest rank among n parts, -1 for none; with `keeps_borders`, of those that span no border."""
    best = -1
    for i in range(n - 1):
        token = work.pairs[i]
        if token == _NONE or (keeps_borders and work.is_border[work.begins[i + 1]]):
            continue
        if best < 0 or ranks[token] < ranks[work.pairs[best]]:
            best = i
    return best


@njit(**_KERNEL)
def _merge(lattice, alive, first, best, n, work):
    """Merge parts best and best + 1 of n; returns n - 1."""
    begins, pairs = work.begins, work.pairs
    n -= 1
    for i in range(best + 1, n):
        begins[i] = begins[i + 1]
        pairs[i] = pairs[i + 1]
    begins[n] = begins[n + 1]
    pairs[n - 1] = _NONE
    for i in range(max(best - 1, 0), min(best + 1, n - 1)):
        pairs[i] = _find(lattice, alive, first + begins[i], begins[i + 2] - begins[i])
    return n


@njit(**_KERNEL)
def _merge_all(lattice, alive, ranks, w, work):
    """Tokens of pre-token w; they begin at work.begins."""
    first = lattice.starts[w]
    n = lattice.starts[w + 1] - first
    _start(lattice, alive, first, n, work)
    best = _lowest(ranks, n, False, work)
    while best >= 0:
        n = _merge(lattice, alive, first, best, n, work)
        best = _lowest(ranks, n, False, work)
    return n


@njit(nogil=True, cache=True)
def count_tokens(lattice, alive, ranks, counts, a, b):
    """Tokens of pre-tokens a … b when live tokens (bool a token) merge by `ranks` (int64 a token)."""
    return _count_each(lattice, alive, ranks, counts, a, b, _work(lattice.starts, a, b))


@njit(**_KERNEL)
def _count_each(lattice, alive, ranks, counts, a, b, work):
    total = np.int64(0)
    for w in range(a, b):
        n = 1 if _is_looked_up(lattice, alive, w) else _merge_all(lattice, alive, ranks, w, work)
        total += counts[w] * n
    return total


@njit(**_KERNEL)
def _nearest_path(lattice, alive, w, work):
    """Fewest tokens of pre-token w; of such paths the one with most borders at `work.is_border`, which it becomes."""
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    work.costs[n_bytes] = 0
    for i in range(n_bytes - 1, -1, -1):
        least = np.int64(-1)
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            if not alive[lattice.edge_tokens[e]]:
                continue
            end = i + lattice.edge_lengths[e]
            cost = work.costs[end] + _TOKEN + (0 if work.is_border[end] else 1)
            if least < 0 or cost < least:
                least = cost
                work.ends[i] = end
        work.costs[i] = least
    n = 0
    begin = 0
    work.is_border[: n_bytes + 1] = False
    while begin < n_bytes:
        work.is_border[begin] = True
        begin = work.ends[begin]
        n += 1
    work.is_border[n_bytes] = True
    return n


@njit(nogil=True, cache=True)
def precedences(lattice, alive, ranks, counts, a, b, earlier, later, weights):
    """What merging pre-tokens a … b into as few tokens as can be asks of ranks; returns how many lines it wrote.

    Line k says: in weights[k] (int64) places, earlier[k] has to be merged before later[k] (int32 tokens), which is
    there at the same time, overlaps it and spans a border of the wanted path. The lines of pre-tokens whose wanted
    path cannot be merged at all are left out. At most 2 lines a byte.
    """
    return _precede_each(lattice, alive, ranks, counts, a, b, earlier, later, weights, _work(lattice.starts, a, b))


@njit(**_KERNEL)
def _precede_each(lattice, alive, ranks, counts, a, b, earlier, later, weights, work):
    n_lines = 0
    for w in range(a, b):
        n_bytes = lattice.starts[w + 1] - lattice.starts[w]
        if n_bytes < 3 or _is_looked_up(lattice, alive, w):
            continue
        n_now = _merge_all(lattice, alive, ranks, w, work)
        work.is_border[: n_bytes + 1] = False
        for i in range(n_now + 1):
            work.is_border[work.begins[i]] = True
        n_wanted = _nearest_path(lattice, alive, w, work)
        begin = n_lines
        n, n_lines = _merge_within(lattice, alive, ranks, w, n_lines, earlier, later, work)
        if n > n_wanted and n >= n_now:
            n_lines = begin
        for k in range(begin, n_lines):
            weights[k] = counts[w]
    return n_lines


@njit(**_KERNEL)
def _merge_within(lattice, alive, ranks, w, n_lines, earlier, later, work):
    """Merge pre-token w within the borders; write which merge had to come before which; (tokens, lines)."""
    first = lattice.starts[w]
    n = lattice.starts[w + 1] - first
    _start(lattice, alive, first, n, work)
    best = _lowest(ranks, n, True, work)
    while best >= 0:
        for i in (best - 1, best + 1):
            if 0 <= i < n - 1 and work.pairs[i] != _NONE and work.is_border[work.begins[i + 1]]:
                earlier[n_lines] = work.pairs[best]
                later[n_lines] = work.pairs[i]
                n_lines += 1
        n = _merge(lattice, alive, first, best, n, work)
        best = _lowest(ranks, n, True, work)
    return n, n_lines


@njit(**_KERNEL)
def best_places(firsts, neighbours, changes, lowest_costs, ranks, gains, places):
    """The best place of each token if it alone moved: int64 gains in tokens, float64 places (half a rank is between).

    Token t has the lines firsts[t] … firsts[t + 1] in order of `neighbours` (ranks, int64): above that rank its cost is
    higher by `changes` (int64). Below all of them it is lowest_costs[t]. Of equally good places the nearest is taken.
    """
    for t in range(ranks.size):
        cost = lowest_costs[t]
        here = cost
        least = cost
        for k in range(firsts[t], firsts[t + 1]):
            cost += changes[k]
            if k + 1 < firsts[t + 1] and neighbours[k + 1] == neighbours[k]:
                continue
            least = min(least, cost)
            if neighbours[k] < ranks[t]:
                here = cost
        gains[t] = here - least
        if gains[t] > 0:
            places[t] = _nearest_place(firsts[t], firsts[t + 1], neighbours, changes, lowest_costs[t], least, ranks[t])


@njit(**_KERNEL)
def _nearest_place(first, last, neighbours, changes, cost, least, rank):
    """The place of cost `least` that is nearest to `rank`, half a rank beside a neighbour."""
    place = np.float64(neighbours[first]) - 0.5
    distance = abs(place - rank) if cost == least else np.inf
    for k in range(first, last):
        cost += changes[k]
        if cost != least or (k + 1 < last and neighbours[k + 1] == neighbours[k]):
            continue
        # From just above this neighbour to just below the next, all places cost the same.
        for candidate in (neighbours[k] + 0.5, neighbours[k + 1] - 0.5 if k + 1 < last else neighbours[k] + 0.5):
            if abs(candidate - rank) < distance:
                place = candidate
                distance = abs(candidate - rank)
    return place
