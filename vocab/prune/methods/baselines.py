"""Baselines: choose tokens without asking what the encoder would produce without the others."""

from __future__ import annotations

import numpy as np

from vocab.arrays import Ints, Mask, frozen
from vocab.choices import CHARACTER_METHODS, InferenceMethod, Method
from vocab.encoding.encoder import merge_parents
from vocab.encoding.lattice import TokenTrie
from vocab.prune.methods.leaf_kernels import drop_leaves
from vocab.vocabulary import Vocabulary

BASELINES: tuple[Method, ...] = ("rank", "frequency", "leaf")


def baselines(inference: InferenceMethod) -> tuple[Method, ...]:
    """The baselines of an inference method: unigram merges nothing, so it has no leaves."""
    return tuple(method for method in BASELINES if inference not in ("unigram", "wordpiece") or method != "leaf")


def by_rank(protected: Mask, n_keep: int) -> Mask:
    """Keep the protected tokens and the first ranks, `n_keep` in all; bool[n_tokens]."""
    return by_frequency(np.zeros(protected.size, dtype=np.int64), protected, n_keep)


def by_score(vocabulary: Vocabulary, protected: Mask, n_keep: int) -> Mask:
    """Keep the protected tokens and those of highest score under unigram, equal ones by rank; bool[n_tokens]."""
    return by_frequency(vocabulary.encoder.trie.units, protected, n_keep)


def by_frequency(uses: Ints, protected: Mask, n_keep: int) -> Mask:
    """Keep the protected tokens and those most used by the whole vocabulary, equal ones by rank; bool[n_tokens]."""
    ids = np.flatnonzero(~protected)
    order = ids[np.lexsort((ids, -uses[ids]))]
    kept = protected.copy()
    kept[order[: n_keep - int(np.count_nonzero(protected))]] = True
    return kept


def by_leaf(vocabulary: Vocabulary, trie: TokenTrie, uses: Ints, protected: Mask, n_keep: int) -> Mask:
    """Drop the least used leaf of the merge forest, one after the other; bool[n_tokens]."""
    kept = np.ones(uses.size, dtype=np.bool_)
    kept[leaf_order(vocabulary, trie, uses, protected, uses.size - n_keep)] = False
    return kept


def leaf_order(vocabulary: Vocabulary, trie: TokenTrie, uses: Ints, protected: Mask, n_drop: int) -> Ints:
    """The tokens that leaf pruning drops, in order, int64[n_drop], or fewer where no more can be dropped.

    A leaf is no parent of a kept token, so kept tokens stay closed under merges. The least used leaf is dropped first,
    of equal ones the later rank; its uses are added to those of its two parents. Source: leaf-based vocabulary pruning,
    arXiv 2512.03989.
    """
    method: InferenceMethod = "scored-merges" if vocabulary.inference in CHARACTER_METHODS else "merges"
    all_parents = merge_parents(trie, vocabulary.blob, vocabulary.starts, method)
    children = np.bincount(all_parents[all_parents >= 0].ravel(), minlength=uses.size)
    order, heap = np.empty(n_drop, dtype=np.int64), np.empty(uses.size, dtype=np.int64)
    n = drop_leaves(frozen(all_parents), children, uses.astype(np.int64), frozen(protected), heap, order)
    return order[:n]
