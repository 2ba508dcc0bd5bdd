"""New ids of the tokens that are left of a vocabulary: no holes, and special tokens stay first that were first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vocab.arrays import Ints


def renumbered(
    old: Mapping[str, int], special: Sequence[str], n_kept: int, old_ids: Ints, has_unknown: bool
) -> tuple[dict[str, int], Ints]:
    """New ids of special tokens by their texts, and of ordinary tokens by rank, int64[n_kept].

    Args:
        old: ids of special tokens before.
        special: texts of special tokens that are left, in the order of these ids, and of new ones, which come last.
        n_kept: ordinary tokens that are left.
        old_ids: ids of the ordinary tokens before, int64.
        has_unknown: whether the first of them stands for unknown text: it keeps its place among special tokens.
    """
    n_first = int(has_unknown)
    least_id = int(old_ids[n_first:].min(initial=np.iinfo(np.int64).max))
    below = {text: old[text] for text in special if old.get(text, least_id) < least_id}
    place = sum(id_ < old_ids[0] for id_ in below.values()) if has_unknown else len(below)
    ids = {text: k if k < place else k + n_first for k, text in enumerate(below)}
    ids |= {text: k for k, text in enumerate((t for t in special if t not in ids), len(below) + n_kept)}
    others = np.arange(n_kept - n_first, dtype=np.int64) + len(below) + n_first
    return ids, np.concatenate([np.full(n_first, place, dtype=np.int64), others])
