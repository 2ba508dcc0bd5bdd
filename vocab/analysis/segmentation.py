"""How two vocabularies segment the same texts: tokens, boundaries, ids. `vocab convert --approximate` prints it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.splitting.preparation import MARK
from vocab.vocabulary import Vocabulary


@dataclass(frozen=True)
class TextDifferences:
    """Differences between the encodings of some texts by two vocabularies, the first called before, the second after.

    A boundary is a place within a text where one token ends and the next begins.

    Attributes:
        n_texts: texts encoded.
        n_bytes: bytes of these texts.
        n_texts_cut_differently: texts with other boundaries.
        n_texts_with_other_ids: texts with other ids.
        n_tokens_before: tokens of the first vocabulary.
        n_tokens_after: tokens of the second.
        n_boundaries_before: boundaries of the first vocabulary.
        n_boundaries_after: boundaries of the second.
        n_boundaries_in_common: boundaries that both have.
    """

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
        """The change in tokens as a share of those before; above 0 where there are more."""
        return self.n_tokens_after / self.n_tokens_before - 1 if self.n_tokens_before else 0.0

    @property
    def boundaries_kept(self) -> float:
        """The share of the boundaries before that are there after as well."""
        return self.n_boundaries_in_common / self.n_boundaries_before if self.n_boundaries_before else 1.0

    def __add__(self, other: TextDifferences) -> TextDifferences:
        return TextDifferences(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def text_differences(before: Vocabulary, after: Vocabulary, texts: Iterable[str]) -> TextDifferences:
    """Encode texts with both vocabularies, special tokens not recognised, and compare.

    Texts with ▁ are left out where one vocabulary is SentencePiece's, because there it is a space.
    """
    skips_mark = before.pattern.is_sentencepiece or after.pattern.is_sentencepiece
    lengths = (_lengths_by_id(before), _lengths_by_id(after))
    total = TextDifferences()
    for text in texts:
        if not (skips_mark and MARK in text):
            total += _of_text(before, after, text, lengths)
    return total


def _of_text(
    before: Vocabulary, after: Vocabulary, text: str, lengths: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
) -> TextDifferences:
    old, new = before.encode(text), after.encode(text)
    bounds = _boundaries(before, old, lengths[0]), _boundaries(after, new, lengths[1])
    n_common = int(np.intersect1d(bounds[0], bounds[1], assume_unique=True).size)
    n_before, n_after = bounds[0].size, bounds[1].size
    return TextDifferences(
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
    """Length in bytes of each id's token, int64[max_id + 1]."""
    lengths = np.zeros(vocabulary.max_id + 1, dtype=np.int64)
    lengths[vocabulary.rank_ids] = vocabulary.lengths
    for text, id_ in vocabulary.special_tokens.items():
        lengths[id_] = len(text.replace(MARK, " ").encode())
    return lengths


def _boundaries(vocabulary: Vocabulary, ids: list[int], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Byte offsets in the text, int64, rising; the space that SentencePiece puts before it does not count."""
    ends = np.cumsum(lengths[np.array(ids, dtype=np.int64)])[:-1] - int(vocabulary.pattern.has_dummy_prefix)
    return ends[ends > 0]
