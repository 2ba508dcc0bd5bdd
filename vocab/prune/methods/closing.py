"""Closing a choice of tokens under merges: every kept token is one merge of two kept tokens of lower rank."""

from __future__ import annotations

import numpy as np

from vocab.arrays import Ints, Mask
from vocab.encoding.closed_merges import of_lower_rank, parts_of_tokens, unmade, with_parts
from vocab.encoding.encoder import merge_parents, merged_pairs
from vocab.errors import TargetError
from vocab.vocabulary import Vocabulary


def close(candidates: Vocabulary, kept: Mask, protected: Mask, worth: Ints, banned: Mask) -> Mask:
    """Exchange tokens until every kept one is a merge of two kept ones, as many as before, bool[n_candidates].

    First the parts of kept tokens come back. Then those that still have no merge go, and the least worth of those that
    are no part of others, or others come in. What comes in may be merged within others and so undo them; what went for
    want of a merge does not come back.

    Args:
        candidates: all tokens that may be kept, in order of rank.
        kept: those chosen, bool[n_candidates], all single bytes among them.
        protected: tokens that are never dropped, bool[n_candidates].
        worth: the order in which tokens come in, the largest first, and go, int64[n_candidates]; then by rank.
        banned: tokens that do not come back, bool[n_candidates].

    Raises:
        TargetError: a protected token is not made by a merge, or too few tokens are.
    """
    n_keep, kept, banned = int(np.count_nonzero(kept)), kept.copy(), banned.copy()
    by_worth = np.lexsort((np.arange(worth.size), -worth))
    is_unmade = unmade(parts_among(candidates, kept), candidates.lengths)
    parts_of_all = parts_of_tokens(candidates.encoder.trie)
    kept |= with_parts(kept & is_unmade, parts_of_all) & ~banned
    while True:
        parts = parts_among(candidates, kept)
        is_unmade = unmade(parts, candidates.lengths)
        lost = kept & is_unmade
        _check_none_lost(candidates, lost & protected)
        kept &= ~lost
        banned |= lost
        n_missing = n_keep - int(np.count_nonzero(kept))
        if n_missing == 0 and not lost.any():
            return kept
        if n_missing < 0:
            is_leaf = kept & ~protected
            is_leaf[parts[kept & (parts[:, 0] >= 0)].ravel()] = False
            kept[by_worth[is_leaf[by_worth]][n_missing:]] = False
            continue
        spare = by_worth[(~kept & ~banned & ~is_unmade)[by_worth]][:n_missing]
        if spare.size == 0 and not lost.any():
            raise TargetError(
                f"only {n_keep - n_missing:,} of the candidates are closed under merges, and {n_keep:,} ordinary "
                "tokens are wanted: lower the target"
            )
        kept[spare] = True


def parts_among(candidates: Vocabulary, kept: Mask) -> Ints:
    """The kept candidates of lower rank whose merge makes each candidate, int64[n_candidates, 2]; -1 without them.

    `kept` is bool[n_candidates]. For one that is not kept they are those that it would have if it alone came back.
    """
    of_kept, of_others = np.flatnonzero(kept), np.flatnonzero(~kept)
    chosen, others = (candidates.subset(of, (), "merges", candidates.provenance) for of in (of_kept, of_others))
    trie = chosen.encoder.trie
    parts = np.full((kept.size, 2), -1, dtype=np.int64)
    parts[of_kept] = merge_parents(trie, chosen.blob, chosen.starts)
    parts[of_others] = merged_pairs(trie, others.blob, others.starts)
    parts = np.where(parts < 0, -1, of_kept[parts])
    return of_lower_rank(parts, np.arange(kept.size))


def _check_none_lost(candidates: Vocabulary, lost: Mask) -> None:
    """Raise TargetError for a protected token without a merge."""
    if not lost.any():
        return
    rank = int(np.flatnonzero(lost)[0])
    token = candidates.blob[candidates.starts[rank] : candidates.starts[rank + 1]].tobytes()
    raise TargetError(
        f"the token to keep {token!r} is no merge of two kept tokens of lower rank, so nothing can be closed: "
        "do not keep it, or keep the source's order of ranks"
    )
