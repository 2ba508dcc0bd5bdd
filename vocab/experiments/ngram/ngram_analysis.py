"""Bits per byte by vocabulary, and which differ from the baseline of the same size.

Differences are taken document by document on the same held-out text. Intervals come from resampling documents. The
p-values of all comparisons are adjusted together (Holm 1979): a wrong difference among all of them has a chance of 5%.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.errors import StudyError
from vocab.experiments.ngram.ngram_spec import NgramStudy
from vocab.experiments.rows import StudyRow

Floats = npt.NDArray[np.float64]
_RESAMPLES = 2000
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class NgramFinding:
    """One vocabulary under n-grams.

    Attributes:
        arm: how it was made.
        size: the size that it was made at, 0 for a whole vocabulary.
        n_ids: its number of ids.
        inference: its inference method.
        bytes_per_token: of the text trained on.
        bits_per_byte: of all held-out documents together.
        change: share by which bits per byte differ from the baseline of the same size; None for the baseline itself.
        low: lower bound of the 95% interval of `change`.
        high: upper bound.
        p_value: adjusted for all comparisons of the study (Holm); 1 for the baseline.
    """

    arm: str
    size: int
    n_ids: int
    inference: str
    bytes_per_token: float
    bits_per_byte: float
    change: float | None = None
    low: float = math.nan
    high: float = math.nan
    p_value: float = 1.0

    @property
    def differs(self) -> bool:
        """Whether it differs from the baseline, at 5% for all comparisons together."""
        return self.p_value < _SIGNIFICANT


@dataclass(frozen=True)
class _Comparison:
    change: float
    low: float
    high: float
    p_value: float


def analyse_ngrams(rows: Sequence[StudyRow], study: NgramStudy, seed: int = 0) -> list[NgramFinding]:
    """Findings by size and arm, in the order of the study's arms.

    Raises:
        StudyError: for rows of different held-out documents.
    """
    order = {arm.name: k for k, arm in enumerate(study.arms)}
    rows = sorted(rows, key=lambda row: (row.key["n_ids"], order.get(row.key["arm"], len(order))))
    if len({tuple(row.result["document_bytes"]) for row in rows}) > 1:
        raise StudyError(f"rows of {study.name} are of different held-out text: they cannot be compared")
    sizes = np.array(rows[0].result["document_bytes"], dtype=np.float64)
    bits = {_name(row): np.array(row.result["document_bits"], dtype=np.float64) for row in rows}
    weights = _weights(sizes.size, np.random.default_rng(seed))
    raw = {
        name: _compared(values, bits[study.baseline, name[1]], weights)
        for name, values in bits.items()
        if name[0] != study.baseline and (study.baseline, name[1]) in bits
    }
    adjusted = holm({name: one.p_value for name, one in raw.items()})
    return [_finding(row, float(bits[_name(row)].sum() / sizes.sum()), raw, adjusted) for row in rows]


def _name(row: StudyRow) -> tuple[str, int]:
    return str(row.key["arm"]), int(row.key["n_ids"])


def _weights(n_documents: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """How often each resample has each document, int64[n_resamples, n_documents]."""
    return rng.multinomial(n_documents, np.full(n_documents, 1 / n_documents), _RESAMPLES)


def _compared(bits: Floats, baseline: Floats, weights: npt.NDArray[np.int64]) -> _Comparison:
    """The change of bits on the same documents, with an interval and a p-value from resampled ones."""
    change = float(bits.sum() / baseline.sum()) - 1
    resampled = weights @ bits / (weights @ baseline) - 1
    low, high = np.quantile(resampled, [0.025, 0.975]).tolist()
    error = float(resampled.std(ddof=1))
    p_value = math.erfc(abs(change) / error / math.sqrt(2)) if error > 0 else float(change == 0)
    return _Comparison(change, low, high, p_value)


def _finding(
    row: StudyRow,
    bits_per_byte: float,
    raw: Mapping[tuple[str, int], _Comparison],
    adjusted: Mapping[tuple[str, int], float],
) -> NgramFinding:
    arm, size = name = _name(row)
    n_ids = int(row.result.get("n_ids", size))
    about = arm, size, n_ids, str(row.result["inference"]), float(row.result["bytes_per_token"]), bits_per_byte
    if name not in raw:
        return NgramFinding(*about)
    return NgramFinding(*about, raw[name].change, raw[name].low, raw[name].high, adjusted[name])


def holm(p_values: Mapping[tuple[str, int], float]) -> dict[tuple[str, int], float]:
    """P-values adjusted for making all these comparisons (Holm 1979)."""
    adjusted, largest = {}, 0.0
    for k, (name, value) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, value * (len(p_values) - k)))
        adjusted[name] = largest
    return adjusted
