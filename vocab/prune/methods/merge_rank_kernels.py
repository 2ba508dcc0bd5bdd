"""Kernels of merge order: merging by given ranks, and what a better order of them would have to look like.

Ranks are an array of their own here, so that many orders can be tried on one lattice.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import helper, kernel

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


def new_work(starts: npt.NDArray[np.int64], a: int, b: int) -> Work:
    """Work for any of the pre-tokens a … b - 1 (starts int64[n + 1])."""
    room = int(np.diff(starts[a : b + 1]).max(initial=0)) + 2
    begins, pairs, ends = np.empty((3, room), dtype=np.int32)
    return Work(begins, pairs, np.zeros(room, dtype=np.bool_), np.empty(room, dtype=np.int64), ends)


@helper
def _find(lattice, kept, position, length):
    """The kept token of `length` bytes at `position`, or _NONE. Copied from merging_kernels, see CONTRIBUTING."""
    for e in range(lattice.edge_starts[position], lattice.edge_starts[position + 1]):
        here = lattice.edge_lengths[e]
        if here >= length:
            token = lattice.edge_tokens[e]
            return token if here == length and kept[token] else _NONE
    return _NONE


@helper
def _is_looked_up(lattice, kept, w):
    """Whether pre-token w is a token, which merging does not touch."""
    first = lattice.starts[w]
    return w < lattice.n_whole and _find(lattice, kept, first, lattice.starts[w + 1] - first) != _NONE


@helper
def _start(lattice, kept, first, n_bytes, work):
    """One part a byte."""
    for i in range(n_bytes):
        work.begins[i] = i
        work.pairs[i] = _find(lattice, kept, first + i, 2) if i + 1 < n_bytes else _NONE
    work.begins[n_bytes] = n_bytes


@helper
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


@helper
def _merge(lattice, kept, first, best, n, work):
    """Merge parts best and best + 1 of n; returns n - 1."""
    begins, pairs = work.begins, work.pairs
    n -= 1
    for i in range(best + 1, n):
        begins[i] = begins[i + 1]
        pairs[i] = pairs[i + 1]
    begins[n] = begins[n + 1]
    pairs[n - 1] = _NONE
    for i in range(max(best - 1, 0), min(best + 1, n - 1)):
        pairs[i] = _find(lattice, kept, first + begins[i], begins[i + 2] - begins[i])
    return n


@helper
def _merge_all(lattice, kept, ranks, w, work):
    """Tokens of pre-token w; they begin at work.begins."""
    first = lattice.starts[w]
    n = lattice.starts[w + 1] - first
    _start(lattice, kept, first, n, work)
    best = _lowest(ranks, n, False, work)
    while best >= 0:
        n = _merge(lattice, kept, first, best, n, work)
        best = _lowest(ranks, n, False, work)
    return n


@kernel
def count_tokens(lattice, kept, ranks, counts, a, b, work):
    """Tokens of pre-tokens a … b when kept tokens (bool a token) merge by `ranks` (int64 a token)."""
    total = np.int64(0)
    for w in range(a, b):
        n = 1 if _is_looked_up(lattice, kept, w) else _merge_all(lattice, kept, ranks, w, work)
        total += counts[w] * n
    return total


@helper
def _nearest_path(lattice, kept, w, work):
    """Fewest tokens of pre-token w; of such paths the one with most borders at `work.is_border`, which it becomes."""
    first = lattice.starts[w]
    n_bytes = lattice.starts[w + 1] - first
    work.costs[n_bytes] = 0
    for i in range(n_bytes - 1, -1, -1):
        least = np.int64(-1)
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            if not kept[lattice.edge_tokens[e]]:
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


@helper
def _merge_within(lattice, kept, ranks, w, n_lines, earlier, later, work):
    """Merge pre-token w within the borders; write which merge had to come before which; (tokens, lines)."""
    first = lattice.starts[w]
    n = lattice.starts[w + 1] - first
    _start(lattice, kept, first, n, work)
    best = _lowest(ranks, n, True, work)
    while best >= 0:
        for i in (best - 1, best + 1):
            if 0 <= i < n - 1 and work.pairs[i] != _NONE and work.is_border[work.begins[i + 1]]:
                earlier[n_lines] = work.pairs[best]
                later[n_lines] = work.pairs[i]
                n_lines += 1
        n = _merge(lattice, kept, first, best, n, work)
        best = _lowest(ranks, n, True, work)
    return n, n_lines


@kernel
def precedences(lattice, kept, ranks, counts, a, b, earlier, later, weights, work):
    """What merging pre-tokens a … b into as few tokens as can be asks of ranks; returns how many lines it wrote.

    Line k says: in weights[k] (int64) places, earlier[k] has to be merged before later[k] (int32 tokens), which is
    there at the same time, overlaps it and spans a border of the wanted path. The lines of pre-tokens whose wanted
    path cannot be merged at all are left out. At most 2 lines a byte.
    """
    n_lines = 0
    for w in range(a, b):
        n_bytes = lattice.starts[w + 1] - lattice.starts[w]
        if n_bytes < 3 or _is_looked_up(lattice, kept, w):
            continue
        n_now = _merge_all(lattice, kept, ranks, w, work)
        work.is_border[: n_bytes + 1] = False
        for i in range(n_now + 1):
            work.is_border[work.begins[i]] = True
        n_wanted = _nearest_path(lattice, kept, w, work)
        begin = n_lines
        n, n_lines = _merge_within(lattice, kept, ranks, w, n_lines, earlier, later, work)
        if n > n_wanted and n >= n_now:
            n_lines = begin
        for k in range(begin, n_lines):
            weights[k] = counts[w]
    return n_lines


@kernel
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


@helper
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
