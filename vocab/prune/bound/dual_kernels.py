"""Kernels of the search for a lower bound: exact shortest paths in whole numbers, and the steps of the search.

Whatever is claimed comes from `shortest_paths`, `tighten_prices` and `least_tokens_alone`, which are exact in int64.
The steps only look for good prices and use float32; they give the same bits on any number of threads, because shards
are fixed and write to places of their own.

The steps work on a *core*: the edges that the search has not ruled out, with bytes at which no such edge begins or
ends taken out, so that a graph has few nodes. Node k leads to k + 1 by gaps[k] single bytes.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vocab.compilation.kernels import allocating_kernel, helper, kernel

# Columns of what a step keeps of each core edge, float32[n_edges, 4], token by token.
PRICE = 0  # λ, in tokens of the corpus
FLOW = 1  # share of the segment's path that goes through the edge, 0 … 1
WEIGHT = 2  # -log of the chance to leave its first node through it
AHEAD = 3  # flow extrapolated: twice the new one less the old one

_PER_UNIT = 64
_MOST = 16
_LEAST_CHANCE = np.float32(20.0)
_EXP = np.exp(-np.arange(_MOST * _PER_UNIT + 2) / _PER_UNIT).astype(np.float32)
_NEWTON_STEPS = 30
_NEWTON_PRECISION = 1e-4


class Core(NamedTuple):
    """Graphs of the segments that matter; edges are stored node by node, their state token by token."""

    segments: npt.NDArray[np.int64]  # segment of each graph, [n_graphs]
    first_nodes: npt.NDArray[np.int64]  # [n_graphs + 1]
    node_bytes: npt.NDArray[np.int64]  # byte of the lattice that a node stands before, [n_nodes]
    gaps: npt.NDArray[np.int32]  # single bytes to the next node, 0 at the last node of a graph, [n_nodes]
    edge_starts: npt.NDArray[np.int64]  # [n_nodes + 1]
    jumps: npt.NDArray[np.int32]  # nodes that an edge advances, [n_edges]
    slots: npt.NDArray[np.int32]  # where the state of an edge is, [n_edges]


@allocating_kernel
def shortest_paths(lattice, counts, unit, prices, a, b, used):
    """Sum of the cheapest paths of segments a … b, where an edge costs counts[w] · unit + prices[edge] (int64).

    Marks the edges of one cheapest path of each in `used` (bool an edge).
    """
    room = 1
    for w in range(a, b):
        room = max(room, lattice.starts[w + 1] - lattice.starts[w] + 1)
    best = np.empty(room, dtype=np.int64)
    via = np.empty(room, dtype=np.int64)
    total = np.int64(0)
    for w in range(a, b):
        first = lattice.starts[w]
        n_bytes = lattice.starts[w + 1] - first
        step = counts[w] * unit
        best[n_bytes] = 0
        for i in range(n_bytes - 1, -1, -1):
            least = np.int64(2**62)
            for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
                cost = best[i + lattice.lengths[lattice.edge_tokens[e]]] + step + prices[e]
                if cost < least:
                    least = cost
                    via[i] = e
            best[i] = least
        total += best[0]
        i = 0
        while i < n_bytes:
            used[via[i]] = True
            i += lattice.lengths[lattice.edge_tokens[via[i]]]
    return total


@allocating_kernel
def tighten_prices(lattice, counts, unit, prices, a, b):
    """Lower the prices (int64, of every edge) of segments a … b as far as no cheapest way to the end gets cheaper.

    Returns the sum of the cheapest paths, which stays what it was.
    """
    room = 1
    for w in range(a, b):
        room = max(room, lattice.starts[w + 1] - lattice.starts[w] + 1)
    best = np.empty(room, dtype=np.int64)
    total = np.int64(0)
    for w in range(a, b):
        first = lattice.starts[w]
        n_bytes = lattice.starts[w + 1] - first
        step = counts[w] * unit
        best[n_bytes] = 0
        for i in range(n_bytes - 1, -1, -1):
            least = np.int64(2**62)
            for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
                least = min(least, best[i + lattice.lengths[lattice.edge_tokens[e]]] + step + prices[e])
            best[i] = least
            for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
                saved = least - best[i + lattice.lengths[lattice.edge_tokens[e]]] - step
                prices[e] = max(np.int64(0), saved)
        total += best[0]
    return total


@allocating_kernel
def lift_prices(lattice, counts, unit, prices, sums, most):
    """Raise prices (int64, of every edge) on the cheapest path of each segment, as far as it stays a cheapest one.

    `sums` (int64 a token) are those of a token's prices, which are raised too, to `most` of each token at most.
    """
    room = np.diff(lattice.starts).max() + 1
    behind = np.empty(room, dtype=np.int64)
    ahead = np.empty(room, dtype=np.int64)
    via = np.empty(room, dtype=np.int64)
    longest = lattice.lengths.max()
    for w in range(lattice.starts.size - 1):
        first = lattice.starts[w]
        n_bytes = lattice.starts[w + 1] - first
        step = counts[w] * unit
        is_new = True
        i = 0
        while i < n_bytes:
            if is_new:
                _fill_costs(lattice, first, n_bytes, step, prices, behind, ahead, via)
                is_new = False
            e = via[i]
            token = lattice.edge_tokens[e]
            if sums[token] < most[token]:
                around = _cheapest_around(lattice, first, longest, i, e, step, prices, behind, ahead)
                more = min(around - ahead[0], most[token] - sums[token])
                prices[e] += more
                sums[token] += more
                is_new = more > 0
            i += lattice.lengths[token]


@helper
def _cheapest_around(lattice, first, longest, place, edge, step, prices, behind, ahead):
    """Cost of the cheapest path that covers the byte at `place` by another edge than `edge`."""
    least = np.int64(2**62)
    for i in range(max(0, place + 1 - longest), place + 1):
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            end = i + lattice.lengths[lattice.edge_tokens[e]]
            if end > place and e != edge:
                least = min(least, behind[i] + step + prices[e] + ahead[end])
    return least


@helper
def _fill_costs(lattice, first, n_bytes, step, prices, behind, ahead, via):
    """Least cost from the start to each byte, and from it to the end, which begins with the edge `via`."""
    ahead[n_bytes] = 0
    for i in range(n_bytes - 1, -1, -1):
        ahead[i] = np.int64(2**62)
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            cost = ahead[i + lattice.lengths[lattice.edge_tokens[e]]] + step + prices[e]
            if cost < ahead[i]:
                ahead[i] = cost
                via[i] = e
    behind[1 : n_bytes + 1] = np.int64(2**62)
    behind[0] = 0
    for i in range(n_bytes):
        for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
            end = i + lattice.lengths[lattice.edge_tokens[e]]
            behind[end] = min(behind[end], behind[i] + step + prices[e])


@allocating_kernel
def least_tokens_alone(lattice, counts, kept, a, b):
    """Tokens of segments a … b under least-tokens when only the tokens in `kept` exist."""
    room = 1
    for w in range(a, b):
        room = max(room, lattice.starts[w + 1] - lattice.starts[w] + 1)
    best = np.empty(room, dtype=np.int64)
    total = np.int64(0)
    for w in range(a, b):
        first = lattice.starts[w]
        n_bytes = lattice.starts[w + 1] - first
        best[n_bytes] = 0
        for i in range(n_bytes - 1, -1, -1):
            least = best[i + 1] + 1
            for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
                token = lattice.edge_tokens[e]
                if kept[token]:
                    least = min(least, best[i + lattice.lengths[token]] + 1)
            best[i] = least
        total += counts[w] * best[0]
    return total


@allocating_kernel
def core_sizes(lattice, kept):
    """Graphs, nodes and edges of the core made of the edges in `kept`."""
    n_graphs = n_nodes = n_edges = 0
    for w in range(lattice.starts.size - 1):
        first, end = lattice.starts[w], lattice.starts[w + 1]
        is_node = np.zeros(end - first + 1, dtype=np.bool_)
        before = n_edges
        for i in range(end - first):
            for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
                if kept[e]:
                    is_node[i] = is_node[i + lattice.lengths[lattice.edge_tokens[e]]] = True
                    n_edges += 1
        if n_edges > before:
            is_node[0] = is_node[end - first] = True
            n_graphs += 1
            n_nodes += is_node.sum()
    return n_graphs, n_nodes, n_edges


@allocating_kernel
def fill_core(lattice, kept, core, edge_ids):
    """Fill all of `core` but its slots, and the lattice's number of each of its edges (int64)."""
    graph = node = edge = 0
    for w in range(lattice.starts.size - 1):
        first, end = lattice.starts[w], lattice.starts[w + 1]
        is_node = np.zeros(end - first + 1, dtype=np.bool_)
        some = False
        for i in range(end - first):
            for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
                if kept[e]:
                    is_node[i] = is_node[i + lattice.lengths[lattice.edge_tokens[e]]] = True
                    some = True
        if not some:
            continue
        is_node[0] = is_node[end - first] = True
        number = np.cumsum(is_node)
        core.segments[graph] = w
        core.first_nodes[graph] = node
        graph += 1
        for i in range(end - first + 1):
            if not is_node[i]:
                continue
            core.node_bytes[node] = first + i
            core.gaps[node] = 0
            if number[i] > 1:
                core.gaps[node - 1] = first + i - core.node_bytes[node - 1]
            core.edge_starts[node] = edge
            node += 1
            if first + i == end:
                continue
            for e in range(lattice.edge_starts[first + i], lattice.edge_starts[first + i + 1]):
                if kept[e]:
                    core.jumps[edge] = number[i + lattice.lengths[lattice.edge_tokens[e]]] - number[i]
                    edge_ids[edge] = e
                    edge += 1
    core.first_nodes[graph] = node
    core.edge_starts[node] = edge


@kernel
def order_by_token(edge_ids, edge_tokens, next_slot, slots):
    """Give each core edge the next slot of its token (next_slot int64[n_tokens], changed)."""
    for k in range(edge_ids.size):
        token = edge_tokens[edge_ids[k]]
        slots[k] = next_slot[token]
        next_slot[token] += 1


@kernel
def fill_steps(core, counts, most, stride, steps):
    """Step width of each edge's price in tokens: `stride` times its segment's count or `most` (float32, by slot)."""
    for g in range(core.segments.size):
        width = np.float32(stride) * min(np.float32(counts[core.segments[g]]), np.float32(most))
        for e in range(core.edge_starts[core.first_nodes[g]], core.edge_starts[core.first_nodes[g + 1] - 1]):
            steps[core.slots[e]] = width


@helper
def _approximate_exp(distance):
    """exp(-distance), float32: 0 from _MOST on, between places of a table along straight lines."""
    if distance >= np.float32(_MOST):
        return np.float32(0)
    distance *= np.float32(_PER_UNIT)
    k = np.int32(distance)
    return _EXP[k] + np.float32(distance - k) * (_EXP[k + 1] - _EXP[k])


@helper
def _fill_chances(core, first, last, step, rate, state, gap_weights, after, gap_chance):
    """Chances of the edges and gaps of the nodes first … last - 1, from the last node back.

    Writes AHEAD (the chance to leave a node through the edge), WEIGHT and, by node from `first` on, gap_chance.
    """
    one = np.float32(1)
    after[last - first] = np.float32(0)
    for node in range(last - 1, first - 1, -1):
        i = node - first
        along = gap_weights[node] + step * np.float32(core.gaps[node]) + after[i + 1]
        least = along
        for e in range(core.edge_starts[node], core.edge_starts[node + 1]):
            s = core.slots[e]
            way = state[s, WEIGHT] + step + rate * state[s, PRICE] + after[i + core.jumps[e]]
            state[s, WEIGHT] = way
            least = min(least, way)
        total = _approximate_exp(along - least)
        gap_chance[i] = total
        for e in range(core.edge_starts[node], core.edge_starts[node + 1]):
            s = core.slots[e]
            chance = _approximate_exp(state[s, WEIGHT] - least)
            state[s, AHEAD] = chance
            total += chance
        after[i] = least - np.float32(math.log(total))
        share = one / total
        gap_chance[i] *= share
        gap_weights[node] = min(along - after[i], _LEAST_CHANCE)
        for e in range(core.edge_starts[node], core.edge_starts[node + 1]):
            s = core.slots[e]
            state[s, WEIGHT] = min(state[s, WEIGHT] - after[i], _LEAST_CHANCE)
            state[s, AHEAD] *= share


@helper
def _fill_flows(core, first, last, state, gap_chance, arrived):
    """Flows through the edges of the nodes first … last - 1, from the first node on; writes FLOW and AHEAD."""
    arrived[: last - first + 1] = np.float32(0)
    arrived[0] = np.float32(1)
    for node in range(first, last):
        i = node - first
        arrived[i + 1] += arrived[i] * gap_chance[i]
        for e in range(core.edge_starts[node], core.edge_starts[node + 1]):
            s = core.slots[e]
            flow = arrived[i] * state[s, AHEAD]
            arrived[i + core.jumps[e]] += flow
            state[s, AHEAD] = flow + flow - state[s, FLOW]
            state[s, FLOW] = flow


@allocating_kernel
def step_paths(core, counts, most, stride, state, gap_weights, a, b):
    """A proximal step of the paths of graphs a … b under the prices; writes FLOW, WEIGHT and AHEAD.

    The paths of a segment are a Markov chain over nodes. Costs are added to the logarithms of its chances and the
    chances made to sum to 1 again, which is the exact minimiser of cost and relative entropy to the chain before.
    """
    room = 1
    for g in range(a, b):
        room = max(room, core.first_nodes[g + 1] - core.first_nodes[g])
    after = np.empty(room, dtype=np.float32)
    arrived = np.empty(room, dtype=np.float32)
    gap_chance = np.empty(room, dtype=np.float32)
    for g in range(a, b):
        first, last = core.first_nodes[g], core.first_nodes[g + 1] - 1
        count = np.float32(counts[core.segments[g]])
        rate = np.float32(1) / (np.float32(stride) * min(count, np.float32(most)))
        _fill_chances(core, first, last, rate * count, rate, state, gap_weights, after, gap_chance)
        _fill_flows(core, first, last, state, gap_chance, arrived)


@kernel
def step_prices(token_starts, steps, is_free, threshold, a, b, state, open_shares):
    """A proximal step of the prices of tokens a … b, given the threshold; writes PRICE and open_shares.

    A token of which the prices would sum to more than the threshold is opened by the share (0 … 1) that brings them
    down to it; free tokens (bool[n_tokens]) are left alone. Returns the sum of shares and how fast that falls as the
    threshold rises.
    """
    total = 0.0
    slope = 0.0
    for t in range(a, b):
        first, last = token_starts[t], token_starts[t + 1]
        if is_free[t]:
            continue
        above = 0.0
        for s in range(first, last):
            above += max(state[s, PRICE] + steps[s] * state[s, AHEAD], np.float32(0))
        share = 0.0
        if above > threshold:
            rate = 0.0
            # Newton from the left on a convex falling function never overshoots.
            for _ in range(_NEWTON_STEPS):
                above = 0.0
                rate = 0.0
                for s in range(first, last):
                    price = state[s, PRICE] + steps[s] * (state[s, AHEAD] - share)
                    if price > 0:
                        above += price
                        rate += steps[s]
                if above - threshold <= _NEWTON_PRECISION * threshold or rate == 0.0:
                    break
                share += (above - threshold) / rate
                if share >= 1.0:
                    share = 1.0
                    break
            if share < 1.0 and rate > 0.0:
                slope += 1.0 / rate
        open_shares[t] = share
        total += share
        for s in range(first, last):
            state[s, PRICE] = max(state[s, PRICE] + steps[s] * (state[s, AHEAD] - np.float32(share)), np.float32(0))
    return total, slope
