"""The search for prices that prove a high lower bound, and for the vocabulary that they point to.

A primal-dual method (Chambolle and Pock 2011, with the relative entropy of Markov chains as distance for paths). Let
y_t in [0, 1] be the share by which token t is open, f_e the flow on edge e, and τ the threshold. Every step is exact:

1. The paths of a segment answer prices by one pass of soft shortest paths, which gives the flows f_e.
2. The price of each edge of t rises where f_e > y_t and falls where it is less. y_t is the share that keeps the sum of
   the prices of t at τ.
3. τ moves until Σ y_t is the number of tokens that may be kept.

Steps are scaled by the count of a segment, at most τ, since no price need be larger. After some rounds over all edges
only those stay that carry flow or a price. Each time that the bound is computed, edges on a shortest path come back.

Late steps circle the best prices, so the mean of the prices of many steps proves more than the last ones do (Chambolle
and Pock's ergodic mean). It begins afresh each time that the number of steps has doubled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.arrays import Mask
from vocab.prune.bound import dual_kernels
from vocab.prune.bound.dual_kernels import FLOW, PRICE, WEIGHT, Core
from vocab.prune.bound.objective import Bound, EdgePrices, Objective

# After these numbers of steps, edges with neither a price nor _LEAST_FLOW are left out.
PRUNING_STEPS = (14, 28)
_LEAST_FLOW = 1e-3
# From each step on, prices move by up to this many times the count of a segment, and paths by less the larger it is.
_STRIDES = {0: 3.0, 28: 1.5, 50: 1.0}
# Where a new edge begins: at e⁻³ of the chance of the best one.
_NEW_WEIGHT = 3.0
# The threshold moves by half a Newton step, and by no more than a tenth.
_DAMPING = 0.5
_MOST_CHANGE = 0.1
_LEAST_THRESHOLD = 1e-3
_FIRST_STEPS = 3
# Weight of the newest step in the average from which tokens are chosen.
_NEWEST = 0.1
# A token is no contender if it is less open than this and its prices sum to less than this part of the threshold.
_LEAST_SHARE = 1e-3
_LEAST_PRICE = 0.8


class DualSearch:
    """Prices of an objective's edges and shares by which tokens are open, improved by each step.

    The same on any number of threads. Memory: 32 bytes an edge longer than a byte at first, less after
    `PRUNING_STEPS`.
    """

    def __init__(self, objective: Objective, threshold: float) -> None:
        """Begin at a threshold: about what the last token kept is worth, in tokens of the corpus."""
        self.objective = objective
        lattice = objective.lattice
        self.n_steps = 0
        self._stride = _STRIDES[0]
        self._is_kept = np.asarray(lattice.lengths[lattice.edge_tokens] > 1)
        n_tokens = objective.is_free.size
        self._open = np.zeros(n_tokens)
        self._average = np.zeros(n_tokens)
        self.threshold = max(_LEAST_THRESHOLD, threshold)
        self._first_averaged = 1
        self._make_core()
        self._scale()
        self._empty_state()

    def step(self) -> None:
        """Move all paths, all prices and the threshold once."""
        total, slope = self._step_paths_and_prices()
        self.n_steps += 1
        if self.n_steps in _STRIDES:
            self._stride = _STRIDES[self.n_steps]
            self._scale()
        if self.n_steps > _FIRST_STEPS:
            excess = (total - self.objective.n_select) / max(slope, 1e-9)
            most = _MOST_CHANGE * self.threshold
            self.threshold = max(_LEAST_THRESHOLD, self.threshold + _DAMPING * min(max(excess, -most), most))
        self._average += _NEWEST * (self._open - self._average)
        self._price_sums += self._state[:, PRICE]

    def bound(self) -> Bound:
        """Compute the bound that the prices or their mean prove now, and take in edges that the steps missed."""
        bound, used = self.objective.bound(self._as_prices(self._state[:, PRICE]))
        n_averaged = self.n_steps - self._first_averaged + 1
        if n_averaged > 1:
            of_mean, _ = self.objective.bound(self._as_prices(self._price_sums / n_averaged))
            bound = max(bound, of_mean, key=lambda one: one.numerator)
        if self.n_steps >= 2 * self._first_averaged:
            self._first_averaged = self.n_steps + 1
            self._price_sums[:] = 0
        lattice = self.objective.lattice
        missed = used & ~self._is_kept & (lattice.lengths[lattice.edge_tokens] > 1)
        if self.n_steps in PRUNING_STEPS:
            kept = (self._state[:, PRICE] > 0) | (self._state[:, FLOW] > _LEAST_FLOW)
            self._is_kept[self._edges[~kept]] = False
            self._rebuild()
        elif missed.any():
            self._is_kept |= missed
            self._rebuild()
        return bound

    def winners(self) -> Mask:
        """The tokens always kept and those most open of late, bool[n_tokens]; equal ones by prices, then by rank."""
        objective = self.objective
        candidates = np.flatnonzero(~objective.is_free)
        prices = self._token_prices()
        order = np.lexsort((candidates, -prices[candidates], -np.round(self._average[candidates], 6)))
        kept = objective.is_free.copy()
        kept[candidates[order[: objective.n_select]]] = True
        return kept

    def contenders(self) -> Mask:
        """The tokens that may still be among the best, bool[n_tokens]."""
        return np.asarray((self._average > _LEAST_SHARE) | (self._token_prices() > _LEAST_PRICE * self.threshold))

    def _token_prices(self) -> npt.NDArray[np.float64]:
        sums = np.concatenate([[0.0], np.cumsum(self._state[:, PRICE], dtype=np.float64)])
        return np.asarray(sums[self._token_starts[1:]] - sums[self._token_starts[:-1]])

    def _step_paths_and_prices(self) -> tuple[float, float]:
        objective, core, state = self.objective, self._core, self._state
        objective.threads.run(
            lambda a, b: dual_kernels.step_paths(
                core, objective.counts, self._most, self._stride, state, self._gap_weights, a, b
            ),
            self._graph_shards,
        )
        sums = objective.threads.run(
            lambda a, b: dual_kernels.step_prices(
                self._token_starts, self._steps, objective.is_free, self.threshold, a, b, state, self._open
            ),
            self._token_shards,
        )
        return sum(total for total, _ in sums), sum(slope for _, slope in sums)

    def _as_prices(self, of_slots: npt.NDArray[np.floating[Any]]) -> EdgePrices:
        """Prices of the core's edges in tokens (float, by slot) as whole multiples of the unit."""
        unit = self.objective.unit
        values = np.rint(of_slots.astype(np.float64) * unit).astype(np.int64)
        some = np.flatnonzero(values)
        order = np.argsort(self._edges[some])
        return EdgePrices(self._edges[some][order], values[some][order], unit)

    def _empty_state(self) -> None:
        self._state = np.zeros((self._edges.size, 4), dtype=np.float32)
        self._price_sums = np.zeros(self._edges.size, dtype=np.float32)
        self._gap_weights = np.zeros(self._core.gaps.size, dtype=np.float32)

    def _scale(self) -> None:
        self._most = self.threshold
        self._fill_steps()

    def _fill_steps(self) -> None:
        self._steps = np.zeros(self._edges.size, dtype=np.float32)
        dual_kernels.fill_steps(self._core, self.objective.counts, self._most, self._stride, self._steps)

    def _make_core(self) -> None:
        """Make the core of the edges in `_is_kept`, with the lattice's edge for each slot."""
        lattice = self.objective.lattice
        n_graphs, n_nodes, n_edges = map(int, dual_kernels.core_sizes(lattice, self._is_kept))
        core = Core(
            segments=np.zeros(n_graphs, dtype=np.int64),
            first_nodes=np.zeros(n_graphs + 1, dtype=np.int64),
            node_bytes=np.zeros(n_nodes, dtype=np.int64),
            gaps=np.zeros(n_nodes, dtype=np.int32),
            edge_starts=np.zeros(n_nodes + 1, dtype=np.int64),
            jumps=np.zeros(n_edges, dtype=np.int32),
            slots=np.zeros(n_edges, dtype=np.int32),
        )
        edges = np.zeros(n_edges, dtype=np.int64)
        dual_kernels.fill_core(lattice, self._is_kept, core, edges)
        n_tokens = self.objective.is_free.size
        self._token_starts = np.zeros(n_tokens + 1, dtype=np.int64)
        np.cumsum(np.bincount(lattice.edge_tokens[edges], minlength=n_tokens), out=self._token_starts[1:])
        dual_kernels.order_by_token(edges, lattice.edge_tokens, self._token_starts[:-1].copy(), core.slots)
        self._edges = np.zeros(n_edges, dtype=np.int64)
        self._edges[core.slots] = edges
        self._core = core
        self._graph_shards = self.objective.threads.shards(
            (core.edge_starts + np.arange(n_nodes + 1))[core.first_nodes]
        )
        self._token_shards = self.objective.threads.shards(self._token_starts + np.arange(n_tokens + 1))

    def _rebuild(self) -> None:
        """Make the core again after `_is_kept` changed, with the state of edges and of gaps carried over."""
        core, edges, state, sums = self._core, self._edges, self._state, self._price_sums
        n_edges, n_bytes = self.objective.lattice.n_edges, int(self.objective.lattice.starts[-1])
        weights = np.zeros(n_bytes + 1)
        inner = core.gaps > 0
        weights[core.node_bytes[inner]] = self._gap_weights[inner]
        before = np.concatenate([[0.0], np.cumsum(weights)])
        self._make_core()
        self._empty_state()
        places = np.full(n_edges, -1, dtype=np.int32)
        places[edges] = np.arange(edges.size, dtype=np.int32)
        old = places[self._edges]
        self._state[old >= 0] = state[old[old >= 0]]
        self._price_sums[old >= 0] = sums[old[old >= 0]]
        self._state[old < 0, WEIGHT] = _NEW_WEIGHT
        first = self._core.node_bytes
        self._gap_weights[:] = before[first + self._core.gaps] - before[first]
        self._fill_steps()
