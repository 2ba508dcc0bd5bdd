"""How two vocabularies cut the same texts: tokens, boundaries, ids. What `vocab convert --approximate` prints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vocab.analysis.spelling import spellings
from vocab.splitting.preparation import MARK
from vocab.vocabulary import Vocabulary


@dataclass(frozen=True)
class Differences:
    """What became of some texts. Boundaries are places within a text where one token ends and the next begins."""

    n_texts: int = 0
    n_bytes: int = 0
    n_texts_cut_differently: int = 0
    n_texts_with_other_ids: int = 0
    n_tokens_before: int = 0
    n_tokens_after: int = 0
    n_boundaries_before: int = 0
    n_boundaries_after: int = 0
    n_boundaries_in_common: int = 0

    @property
    def more_tokens(self) -> float:
        """Tokens more (above 0) or fewer than before, as a share."""
        return self.n_tokens_after / self.n_tokens_before - 1 if self.n_tokens_before else 0.0

    @property
    def boundaries_kept(self) -> float:
        """The share of the boundaries before that are there after, too."""
        return self.n_boundaries_in_common / self.n_boundaries_before if self.n_boundaries_before else 1.0

    def __add__(self, other: Differences) -> Differences:
        return Differences(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def differences(before: Vocabulary, after: Vocabulary, texts: Iterable[str]) -> Differences:
    """Encode texts with both vocabularies, special tokens not recognised, and compare.

    Where SentencePiece has a part, texts with ▁ are left out, because there it is a space.
    """
    skips_mark = before.pattern.is_sentencepiece or after.pattern.is_sentencepiece
    lengths = (_lengths_by_id(before), _lengths_by_id(after))
    found = Differences()
    for text in texts:
        if not (skips_mark and MARK in text):
            found += _of_text(before, after, text, lengths)
    return found


def _of_text(
    before: Vocabulary, after: Vocabulary, text: str, lengths: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> Differences:
    old, new = before.encode(text), after.encode(text)
    places = _boundaries(before, old, lengths[0]), _boundaries(after, new, lengths[1])
    n_common = int(np.intersect1d(places[0], places[1], assume_unique=True).size)
    n_before, n_after = places[0].size, places[1].size
    return Differences(
        n_texts=1,
        n_bytes=len(text.encode(errors="replace")),
        n_texts_cut_differently=int(not n_before == n_after == n_common),
        n_texts_with_other_ids=int(old != new),
        n_tokens_before=len(old),
        n_tokens_after=len(new),
        n_boundaries_before=n_before,
        n_boundaries_after=n_after,
        n_boundaries_in_common=n_common,
    )


def _lengths_by_id(vocabulary: Vocabulary) -> npt.NDArray[np.int64]:
    """Bytes that each id stands for, int64[max_id + 1]."""
    lengths = np.zeros(vocabulary.max_id + 1, dtype=np.int64)
    lengths[vocabulary.first_id : vocabulary.first_id + vocabulary.n_tokens] = vocabulary.lengths
    for text, id_ in vocabulary.special_tokens.items():
        lengths[id_] = len(text.replace(MARK, " ").encode())
    return lengths


def _boundaries(vocabulary: Vocabulary, ids: list[int], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Places in bytes of the text, int64, rising; the space that SentencePiece puts before it is none of it."""
    ends = np.cumsum(lengths[np.array(ids, dtype=np.int64)])[:-1] - int(vocabulary.pattern.has_dummy_prefix)
    return ends[ends > 0]


def id_map(before: Vocabulary, after: Vocabulary) -> dict[str, Any]:
    """Old ids to new ones by what they stand for, in the form of a result's id_map.json."""
    tokens = dict(enumerate(before.tokens(), before.first_id))
    kept = {old: after.token_ids[token] for old, token in tokens.items() if token in after.token_ids}
    special = {id_: after.special_tokens[text] for text, id_ in before.special_tokens.items()}
    dropped = {old: token for old, token in tokens.items() if old not in kept}
    known = set(kept.values()) | set(special.values())
    added = {k: token for k, token in enumerate(after.tokens(), after.first_id) if k not in known}
    return {
        "source": before.name,
        "n_old": before.max_id + 1,
        "n_new": after.n_ids,
        "kept": {str(old): new for old, new in sorted((kept | special).items())},
        "dropped": spellings(after, dropped),
        "added": spellings(before, added),
    }
