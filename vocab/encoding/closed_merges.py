"""Closed vocabularies: every token of two bytes or more is one merge of two tokens of lower rank.

A closed vocabulary needs no look-up of whole words. Wherever a token comes up in a text, the same two parts make it,
those that merging its own text ends in: up to then nothing was merged across its edges. So a list of one merge a token,
which is all that many runtimes read, gives the ids of tiktoken.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.arrays import Ints, Mask
from vocab.encoding.encoder import merge_parents
from vocab.encoding.lattice import TokenTrie


def parts_of_tokens(trie: TokenTrie) -> Ints:
    """The two tokens of lower rank whose merge makes each token of a trie, int64[n_tokens, 2]; -1 without them."""
    return of_lower_rank(merge_parents(trie, trie.blob, trie.starts), np.arange(trie.lengths.size))


def of_lower_rank(parts: Ints, ranks: Ints) -> Ints:
    """The parts (int64[n, 2]) of tokens of some ranks (int64[n]), -1 where one does not have a lower rank."""
    return np.where((parts.max(axis=1) < ranks)[:, np.newaxis], parts, -1)


def unmade(parts: Ints, lengths: npt.NDArray[Any]) -> Mask:
    """Which tokens of two bytes or more (`lengths`, [n_tokens]) no merge of two `parts` makes, bool[n_tokens]."""
    return (lengths > 1) & (parts[:, 0] < 0)


def is_closed(trie: TokenTrie) -> bool:
    """Whether every token of two bytes or more is one merge of two tokens of lower rank."""
    return not unmade(parts_of_tokens(trie), trie.lengths).any()


def with_parts(chosen: Mask, parts: Ints) -> Mask:
    """The chosen tokens (bool[n_tokens]) and all that they are merged from, by their `parts` of lower rank."""
    needed = chosen.copy()
    for rank in np.flatnonzero(parts[:, 0] >= 0)[::-1].tolist():
        if needed[rank]:
            needed[parts[rank]] = True
    return needed
