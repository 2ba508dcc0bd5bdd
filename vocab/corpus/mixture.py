"""Parts of a corpus combined by share of the bytes, and their summary for reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from fractions import Fraction

from vocab.corpus.counting import CorpusCounts, CorpusPart
from vocab.errors import TargetError

# Weights are whole numbers, so that counts stay whole: the smallest is at least this, for shares right to 0.1%.
_LEAST_WEIGHT = 512
# Weighted bytes of all parts stay below this, so that sums of counts are exact in int64 and float64.
_MOST_BYTES = 1 << 50


def mixed(parts: Sequence[CorpusPart], shares: Sequence[float | None]) -> CorpusCounts:
    """Combine parts so that their training bytes are in the ratio `shares`, as `whole_weights` says."""
    if all(share is None for share in shares):
        return CorpusCounts(tuple(parts))
    weights = whole_weights([part.train.n_bytes for part in parts], shares)
    return CorpusCounts(tuple(replace(part, weight=w) for part, w in zip(parts, weights, strict=True)))


def whole_weights(n_bytes: Sequence[int], shares: Sequence[float | None]) -> list[int]:
    """Whole weights of parts of `n_bytes` training bytes each, so that these are in the ratio `shares`.

    A part without a share counts as 1 when any other has one. When none has, parts are added up.

    Raises:
        TargetError: a share is not above 0.
    """
    if all(share is None for share in shares):
        return [1] * len(n_bytes)
    if any(share is not None and not 0 < share < 1e9 for share in shares):
        raise TargetError("the weight of a corpus must be above 0, like the 2 of books/:2")
    factors = [Fraction(1 if share is None else share) / n for n, share in zip(n_bytes, shares, strict=True)]
    scale = Fraction(_LEAST_WEIGHT) / min(factors)
    total = sum(factor * n for factor, n in zip(factors, n_bytes, strict=True))
    scale = min(scale, Fraction(_MOST_BYTES) / total)
    return [max(1, round(factor * scale)) for factor in factors]


def shares(corpus: CorpusCounts) -> list[float]:
    """Each part's share of the weighted training bytes."""
    n_bytes = [part.weight * part.train.n_bytes for part in corpus.parts]
    return [n / sum(n_bytes) for n in n_bytes]


def corpus_summary(corpus: CorpusCounts) -> dict[str, object]:
    """The summary of a corpus for reports, as JSON types."""
    return {
        "is_builtin_profile": corpus.is_builtin,
        "notes": list(corpus.notes),
        "prior": corpus.prior,
        "held_out_rule": corpus.parts[0].held_out_rule,
        "parts": [
            {
                "name": part.name,
                "weight": part.weight,
                "share": share,
                **asdict(part.tally),
                **part.skipped.for_report(),
                "n_bytes_train": part.train.n_bytes,
                "n_bytes_held_out": part.held_out.n_bytes,
                "n_pretokens_train": part.train.n_pretokens,
                "n_pretokens_held_out": part.held_out.n_pretokens,
            }
            for part, share in zip(corpus.parts, shares(corpus), strict=True)
        ],
    }
