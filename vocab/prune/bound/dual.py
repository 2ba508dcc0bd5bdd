"""The search for prices that prove a high lower bound, and for the vocabulary that they point to.

A primal-dual method (Chambolle and Pock 2011, with the relative entropy of Markov chains as distance for paths). Its
steps are all exact: the paths of a segment answer prices by one pass of soft shortest paths; the prices of a token are
raised where its flow is above the share by which it is open, and that share is the one that keeps their sum at a
threshold; the threshold moves until as many tokens are open as may be kept. Steps are scaled by the count of a segment,
at most the threshold, since no price need be larger than that.

After some rounds over all edges only those are kept that carry flow or a price; each time the bound is computed,
edges on a shortest path come back.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vocab.prune.bound import dual_kernels
from vocab.prune.bound.dual_kernels import FLOW, PRICE, WEIGHT, Core
from vocab.prune.bound.objective import Alive, Bound, EdgePrices, Objective

# After so many steps, edges with neither a price nor this much flow are left out.
PRUNING_STEPS = (14, 28)
_LEAST_FLOW = 1e-3
# Prices move by up to this many times the count of a segment, and paths the less for it; first far, then near.
_STRIDES = {0: 3.0, 28: 1.5, 50: 1.0}
# Where a newly found edge begins: e⁻³ of the chance of the best one.
_NEW_WEIGHT = 3.0
# The threshold moves by half a Newton step, and by no more than a tenth.
_DAMPING = 0.5
_MOST_CHANGE = 0.1
_LEAST_THRESHOLD = 1e-3
_FIRST_STEPS = 3
# Weight of the newest step in the average from which tokens are chosen.
_NEWEST = 0.1
# A token less open than this, whose prices sum to less than this part of the threshold, is out of the running.
_LEAST_SHARE = 1e-3
_LEAST_PRICE = 0.8


class DualSearch:
    """Prices of an objective's edges and shares by which tokens are open, made better by each step.

    The same on any number of threads. Memory: 28 bytes an edge longer than a byte at first, less after
    `PRUNING_STEPS`.
    """

    def __init__(self, objective: Objective, threshold: float) -> None:
        """`threshold` is about what the last token kept is worth, in tokens of the corpus."""
        self.objective = objective
        lattice = objective.lattice
        self.n_steps = 0
        self._stride = _STRIDES[0]
        self._is_kept = np.asarray(lattice.lengths[lattice.edge_tokens] > 1)
        n_tokens = objective.is_free.size
        self._open = np.zeros(n_tokens)
        self._average = np.zeros(n_tokens)
        self.threshold = max(_LEAST_THRESHOLD, threshold)
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

    def bound(self) -> Bound:
        """The bound that the prices prove now; edges that the steps missed are taken in."""
        bound, used = self.objective.bound(self._prices())
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

    def winners(self) -> Alive:
        """The tokens most open of late with those that are always kept, bool[n_tokens]; equal ones by prices, rank."""
        objective = self.objective
        candidates = np.flatnonzero(~objective.is_free)
        prices = self._token_prices()
        order = np.lexsort((candidates, -prices[candidates], -np.round(self._average[candidates], 6)))
        alive = objective.is_free.copy()
        alive[candidates[order[: objective.n_select]]] = True
        return alive

    def contenders(self) -> Alive:
        """The tokens that are not as good as out of the running, bool[n_tokens]."""
        return np.asarray((self._average > _LEAST_SHARE) | (self._token_prices() > _LEAST_PRICE * self.threshold))

    def _token_prices(self) -> npt.NDArray[np.float64]:
        sums = np.concatenate([[0.0], np.cumsum(self._state[:, PRICE], dtype=np.float64)])
        return np.asarray(sums[self._token_starts[1:]] - sums[self._token_starts[:-1]])

    def _step_paths_and_prices(self) -> tuple[float, float]:
        objective, core, state = self.objective, self._core, self._state
        objective.crew.run(
            lambda a, b: dual_kernels.step_paths(
                core, objective.counts, self._most, self._stride, state, self._gap_weights, a, b
            ),
            self._graph_shards,
        )
        sums = objective.crew.run(
            lambda a, b: dual_kernels.step_prices(
                self._token_starts, self._steps, objective.is_free, self.threshold, a, b, state, self._open
            ),
            self._token_shards,
        )
        return sum(total for total, _ in sums), sum(slope for _, slope in sums)

    def _prices(self) -> EdgePrices:
        unit = self.objective.unit
        values = np.rint(self._state[:, PRICE].astype(np.float64) * unit).astype(np.int64)
        some = np.flatnonzero(values)
        order = np.argsort(self._edges[some])
        return EdgePrices(self._edges[some][order], values[some][order], unit)

    def _empty_state(self) -> None:
        self._state = np.zeros((self._edges.size, 4), dtype=np.float32)
        self._gap_weights = np.zeros(self._core.gaps.size, dtype=np.float32)

    def _scale(self) -> None:
        self._most = self.threshold
        self._fill_steps()

    def _fill_steps(self) -> None:
        self._steps = np.zeros(self._edges.size, dtype=np.float32)
        dual_kernels.fill_steps(self._core, self.objective.counts, self._most, self._stride, self._steps)

    def _make_core(self) -> None:
        """The core of the edges in `_is_kept`, and the lattice's edge for each slot."""
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
        self._graph_shards = self.objective.crew.shards((core.edge_starts + np.arange(n_nodes + 1))[core.first_nodes])
        self._token_shards = self.objective.crew.shards(self._token_starts + np.arange(n_tokens + 1))

    def _rebuild(self) -> None:
        """Make the core again after `_is_kept` changed; the state of edges and of gaps goes along."""
        core, edges, state = self._core, self._edges, self._state
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
        self._state[old < 0, WEIGHT] = _NEW_WEIGHT
        first = self._core.node_bytes
        self._gap_weights[:] = before[first + self._core.gaps] - before[first]
        self._fill_steps()
