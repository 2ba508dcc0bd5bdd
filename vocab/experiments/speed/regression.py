"""Least squares of log time on what is known of a vocabulary's size, with errors that allow for unequal noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocab.errors import StudyError
from vocab.experiments.speed.interval import Interval
from vocab.experiments.speed.speed_spec import SpeedStudy
from vocab.sizes import padded, size_facts

Floats = npt.NDArray[np.float64]
HAMMING_WEIGHT = "hamming weight"
# Classes of trailing zeros: from 6 on they are one, as a multiple of 64 is aligned for every kernel.
MOST_ZEROS = 6
# Rows of a tile along the width, in the product that gives the head's gradient (shared with cuBLAS's usual 128 × 256).
_WIDTH_TILE = 256
# A leverage this near to 1 means that a size has a coefficient of its own, and a residual of 0.
_WHOLE = 1 - 1e-9


@dataclass(frozen=True)
class Fit:
    """A fit of log time.

    Attributes:
        terms: coefficients by name, without the constant.
        hamming: the coefficient of Hamming weight with Student's intervals from HC3 errors.
        residual: standard deviation of the residuals, as a share of time.
    """

    terms: Mapping[str, float]
    hamming: Interval
    residual: float


def design(sizes: npt.NDArray[np.int64], study: SpeedStudy, width: int) -> dict[str, Floats]:
    """Columns of the regression by name, float64[n_sizes] each, without those that are constant.

    Raises StudyError when Hamming weight is a combination of the others.
    """
    facts = [size_facts(int(size)) for size in sizes]
    zeros = np.array([min(f.trailing_zeros, MOST_ZEROS) for f in facts])
    tiles = np.array([padded(int(size), study.tile) // study.tile for size in sizes], dtype=np.float64)
    columns: dict[str, Floats] = {"log size": np.log(sizes.astype(np.float64))}
    for k in range(1, MOST_ZEROS + 1):
        columns[f"{k}{' or more' if k == MOST_ZEROS else ''} trailing zeros"] = (zeros == k).astype(np.float64)
    columns["part of the last tile left over"] = np.log(tiles * study.tile / sizes)
    if study.waves:
        n = tiles * math.ceil(width / _WIDTH_TILE)
        columns["part of the last wave left over"] = np.log(np.ceil(n / study.waves) * study.waves / n)
    columns[HAMMING_WEIGHT] = np.array([float(f.hamming_weight) for f in facts])
    columns = {name: column for name, column in columns.items() if np.ptp(column) > 0}
    if not math.isfinite(variance_inflation(columns)):
        raise StudyError("sizes of the study do not tell Hamming weight from alignment: add some, or sets of them")
    return columns


def variance_inflation(columns: Mapping[str, Floats]) -> float:
    """How many times the other terms raise the variance of Hamming weight's coefficient (VIF); infinite if alone."""
    if HAMMING_WEIGHT not in columns:
        return math.inf
    weights = columns[HAMMING_WEIGHT]
    others = _matrix(columns, [name for name in columns if name != HAMMING_WEIGHT])
    rest = weights - others @ np.linalg.lstsq(others, weights, rcond=None)[0]
    spread = float(((weights - weights.mean()) ** 2).sum())
    return spread / float(rest @ rest) if float(rest @ rest) > 1e-9 * spread else math.inf


def fit(columns: Mapping[str, Floats], names: Sequence[str], log_times: Floats) -> Fit:
    """Fit the log times of sizes, float64[n_sizes], by the columns of these names and a constant.

    Errors are HC3 (MacKinnon and White 1985; Long and Ervin 2000): each residual counts as 1 / (1 - leverage) times as
    large. So noise may differ between sizes, and the errors hold for few sizes.
    """
    matrix = _matrix(columns, names)
    inverse = np.linalg.pinv(matrix)
    coefficients = inverse @ log_times
    residuals = log_times - matrix @ coefficients
    leverage = np.einsum("ij,ji->i", matrix, inverse)
    grown = np.where(leverage < _WHOLE, residuals / np.maximum(1 - leverage, 1 - _WHOLE), 0.0)
    n_free = max(1, log_times.size - int(np.linalg.matrix_rank(matrix)))
    at = 1 + list(names).index(HAMMING_WEIGHT)
    error = float(np.sqrt(((inverse[at] * grown) ** 2).sum()))
    return Fit(
        terms=dict(zip(names, coefficients[1:].tolist(), strict=True)),
        hamming=Interval.of_error(float(coefficients[at]), error, n_free),
        residual=float(np.sqrt((residuals**2).sum() / n_free)),
    )


def _matrix(columns: Mapping[str, Floats], names: Sequence[str]) -> Floats:
    n = next(iter(columns.values())).size
    return np.column_stack([np.ones(n), *(columns[name] for name in names)])
