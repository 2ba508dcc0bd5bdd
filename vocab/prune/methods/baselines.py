"""Baselines: which tokens to keep without asking what the encoder would produce without the others."""

from __future__ import annotations

import heapq
from typing import get_args

import numpy as np
import numpy.typing as npt

from vocab.choices import InferenceMethod, Method
from vocab.encoding.encoder import CHARACTER_METHODS, merge_parents
from vocab.encoding.lattice import TokenTrie
from vocab.vocabulary import Vocabulary

METHODS: tuple[Method, ...] = get_args(Method)
BASELINES: tuple[Method, ...] = ("rank", "frequency", "leaf")

Alive = npt.NDArray[np.bool_]
Uses = npt.NDArray[np.int64]


def baselines(inference: InferenceMethod) -> tuple[Method, ...]:
    """Those that an inference method has: unigram merges nothing, so that it has no leaves."""
    return tuple(method for method in BASELINES if inference != "unigram" or method != "leaf")


def by_rank(protected: Alive, n_keep: int) -> Alive:
    """Keep the protected tokens and the first ranks, `n_keep` in all; bool[n_tokens]."""
    return by_frequency(np.zeros(protected.size, dtype=np.int64), protected, n_keep)


def by_score(vocabulary: Vocabulary, protected: Alive, n_keep: int) -> Alive:
    """Keep the protected tokens and those of highest score under unigram, equal ones by rank; bool[n_tokens]."""
    return by_frequency(vocabulary.encoder.trie.units, protected, n_keep)


def by_frequency(uses: Uses, protected: Alive, n_keep: int) -> Alive:
    """Keep the protected tokens and those most used by the whole vocabulary, equal ones by rank; bool[n_tokens]."""
    ids = np.flatnonzero(~protected)
    order = ids[np.lexsort((ids, -uses[ids]))]
    alive = protected.copy()
    alive[order[: n_keep - int(np.count_nonzero(protected))]] = True
    return alive


def by_leaf(vocabulary: Vocabulary, trie: TokenTrie, uses: Uses, protected: Alive, n_keep: int) -> Alive:
    """Drop the least used leaf of the merge forest, one after the other; bool[n_tokens]."""
    alive = np.ones(uses.size, dtype=np.bool_)
    alive[leaf_order(vocabulary, trie, uses, protected, uses.size - n_keep)] = False
    return alive


def leaf_order(
    vocabulary: Vocabulary, trie: TokenTrie, uses: Uses, protected: Alive, n_drop: int
) -> npt.NDArray[np.int64]:
    """The first `n_drop` tokens (or all, where there are fewer) in the order in which leaf pruning drops them, int64.

    A leaf is no parent of a kept token, so what is kept stays closed under merges; the uses of a dropped token go to
    its two parents. The least used leaf goes first, of equal ones the later rank. Source: leaf-based vocabulary
    pruning, arXiv 2512.03989.
    """
    method: InferenceMethod = "scored-merges" if vocabulary.inference in CHARACTER_METHODS else "merges"
    parents = merge_parents(trie, vocabulary.blob, vocabulary.starts, method)
    n_children = np.bincount(parents[parents >= 0].ravel(), minlength=uses.size)
    counts, order = uses.copy(), list[int]()
    leaves = [(int(counts[t]), -t) for t in np.flatnonzero((n_children == 0) & ~protected).tolist()]
    heapq.heapify(leaves)
    while leaves and len(order) < n_drop:
        count, negative = heapq.heappop(leaves)  # final, as all that would add to it is dropped
        order.append(-negative)
        for parent in parents[-negative].tolist():
            if parent >= 0:
                counts[parent] += count
                n_children[parent] -= 1
                if n_children[parent] == 0 and not protected[parent]:
                    heapq.heappush(leaves, (int(counts[parent]), -parent))
    return np.array(order, dtype=np.int64)
