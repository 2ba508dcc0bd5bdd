"""How two vocabularies differ: tokens, ids, special tokens, split and inference method."""

from __future__ import annotations

from dataclasses import dataclass

from vocab.measured import MeasuredTokenizer


@dataclass(frozen=True, kw_only=True)
class VocabularyDiff:
    """How two vocabularies differ. Tokens are in the order of ids in the vocabulary that has them.

    Attributes:
        n_shared: ordinary tokens that both have.
        only_first: ordinary tokens that only the first has.
        only_second: ordinary tokens that only the second has.
        n_moved: shared tokens whose id differs.
        special_only_first: special tokens that only the first has.
        special_only_second: special tokens that only the second has.
        same_pattern: whether both prepare and split text alike; None where that is not known, as when a runtime splits
            for one of them.
        same_inference: whether both have the same inference method.
    """

    n_shared: int
    only_first: list[bytes]
    only_second: list[bytes]
    n_moved: int
    special_only_first: list[str]
    special_only_second: list[str]
    same_pattern: bool | None
    same_inference: bool


def diff(first: MeasuredTokenizer, second: MeasuredTokenizer) -> VocabularyDiff:
    """Compare two vocabularies.

    Args:
        first: what `vocab.load` or `vocab.formats.measured` gives.
        second: the vocabulary to compare it with.

    Returns:
        The figures and tokens that `vocab diff` shows.

    Raises:
        SourceError: one of them does not give the bytes of its tokens.
    """
    a, b = first.token_ids, second.token_ids
    shared_tokens = a.keys() & b.keys()
    return VocabularyDiff(
        n_shared=len(shared_tokens),
        only_first=[token for token in a if token not in b],
        only_second=[token for token in b if token not in a],
        n_moved=sum(a[token] != b[token] for token in shared_tokens),
        special_only_first=[text for text in first.special_tokens if text not in second.special_tokens],
        special_only_second=[text for text in second.special_tokens if text not in first.special_tokens],
        same_pattern=_split_alike(first, second),
        same_inference=first.inference == second.inference,
    )


def _split_alike(first: MeasuredTokenizer, second: MeasuredTokenizer) -> bool | None:
    """A split pattern and the settings of a runtime have digests of different things."""
    a, b = first.split_sha256, second.split_sha256
    if a is None or b is None or (first.pattern is None) != (second.pattern is None):
        return None
    return a == b
