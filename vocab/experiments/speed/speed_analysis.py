"""Does Hamming weight cost time once alignment is known? A regression over sizes, with resampled intervals.

The estimate of a size is the median over cycles of log(seconds / seconds of the reference in that cycle), so that a
drifting clock cancels. Least squares fits these on log size, classes of trailing zeros, the unused rest of the last
tile and of the last wave, and Hamming weight. Intervals come from resampling cycles and sizes together (Owen 2007, "The
pigeonhole bootstrap"): sizes are a sample as cycles are, because each has a kernel of its own.

Hamming weight has no effect when the 90% interval of its coefficient lies within ±margin, which is the pair of
one-sided tests at 5% (Schuirmann 1987). It has an effect when the 95% interval leaves out 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vocab.errors import StudyError
from vocab.experiments.rows import StudyRow
from vocab.experiments.speed.speed_spec import SpeedStudy
from vocab.sizes import padded, size_facts

Floats = npt.NDArray[np.float64]
Verdict = Literal["no effect", "effect", "small effect", "undecided"]
# The second copy of the reference in each cycle.
AGAIN = "again"
# Classes of trailing zeros: from 6 on they are one, as a multiple of 64 is aligned for every kernel.
MOST_ZEROS = 6
_RESAMPLES = 2000
# Rows of a tile along the width, in the product that gives the head's gradient (shared with cuBLAS's usual 128 × 256).
_WIDTH_TILE = 256


@dataclass(frozen=True)
class Interval:
    """An estimate, with the bounds of 95% (`low`, `high`) and of 90% of its resamples."""

    estimate: float
    low: float
    high: float
    low_90: float
    high_90: float

    @classmethod
    def of(cls, estimate: float, resampled: Floats) -> Interval:
        """The interval of an estimate from its resamples, float64[n]."""
        low, low_90, high_90, high = np.quantile(resampled, [0.025, 0.05, 0.95, 0.975]).tolist()
        return cls(estimate, low, high, low_90, high_90)

    @property
    def leaves_out_zero(self) -> bool:
        """Whether 0 lies outside the 95% interval."""
        return self.low > 0 or self.high < 0

    def is_within(self, margin: float) -> bool:
        """Whether the 90% interval lies within ±margin."""
        return -margin < self.low_90 and self.high_90 < margin


@dataclass(frozen=True)
class SizeTime:
    """The time of one size.

    Attributes:
        n_ids: the size.
        seconds: median over cycles.
        log_ratio: log of the ratio to the reference, with the interval of resampled cycles.
    """

    n_ids: int
    seconds: float
    log_ratio: Interval


@dataclass(frozen=True)
class SpeedFinding:
    """The result of one timing on one machine.

    Attributes:
        timing: name of the timing in the specification.
        machine: the machine it ran on.
        n_cycles: number of cycles.
        sizes: times, by rising size.
        again: log ratio of the reference's second copy to the first: noise alone (A/A).
        hamming_alone: change of log time for each bit of Hamming weight, in a fit with log size alone.
        hamming: the same in the fit with alignment.
        terms: coefficients of the fit with alignment, by name.
        residual: standard deviation of the residuals of that fit, as a share of time.
        margin: change for each bit that counts as none.
    """

    timing: str
    machine: str
    n_cycles: int
    sizes: tuple[SizeTime, ...]
    again: Interval
    hamming_alone: Interval
    hamming: Interval
    terms: Mapping[str, float]
    residual: float
    margin: float

    @property
    def verdict(self) -> Verdict:
        """Whether Hamming weight has an effect once alignment is known."""
        if self.hamming.is_within(self.margin):
            return "small effect" if self.hamming.leaves_out_zero else "no effect"
        return "effect" if self.hamming.leaves_out_zero else "undecided"

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        bit = self.hamming
        amount = f"{bit.estimate:+.3%} of time a bit (95% interval {bit.low:+.3%} … {bit.high:+.3%})"
        within = f"within the ±{self.margin:.2%} that were declared to count as none"
        answers = {
            "no effect": f"Hamming weight does not matter once alignment is known: {amount}, {within}",
            "small effect": f"Hamming weight hardly matters once alignment is known: {amount}, {within}",
            "effect": f"Hamming weight matters even when alignment is known: {amount}",
            "undecided": f"it stays open whether Hamming weight matters once alignment is known: {amount}, which "
            f"reaches beyond the declared ±{self.margin:.2%}",
        }
        return f"{self.machine}, {self.timing}: {answers[self.verdict]}."


def analyse_speed(rows: Sequence[StudyRow], study: SpeedStudy, width: int, seed: int = 0) -> SpeedFinding:
    """Analyse the cycles of one timing on one machine.

    Args:
        rows: the cycles.
        study: the study that they belong to.
        width: width of the timed model.
        seed: random seed of resampling.

    Raises:
        StudyError: for rows of several machines or timings, fewer than 2 cycles, cycles that lack a size, and sizes
            that do not tell Hamming weight from alignment.
    """
    machines, timings = ({str(row.key[name]) for row in rows} for name in ("machine", "timing"))
    if len(machines) != 1 or len(timings) != 1:
        mixed = machines if len(machines) != 1 else timings
        raise StudyError(f"times of {' and '.join(sorted(mixed)) or 'nothing'} cannot stand in one comparison")
    if len(rows) < 2:
        raise StudyError(f"the timing {timings.pop()} has {len(rows)} cycle: run the study to its end")
    cycles = [row.result["seconds"] for row in rows]
    names = sorted(cycles[0], key=lambda name: (name == AGAIN, int(name) if name != AGAIN else 0))
    if any(set(cycle) != set(names) for cycle in cycles) or AGAIN not in names or str(study.reference) not in names:
        raise StudyError(
            f"cycles of the timing {timings.pop()} hold different sizes: rows of two specifications are mixed"
        )
    seconds = np.array([[cycle[name] for name in names] for cycle in cycles], dtype=np.float64)
    logs = np.log(seconds) - np.log(seconds[:, [names.index(str(study.reference))]])
    return _finding(rows[0], study, width, names, seconds, logs, np.random.default_rng(seed))


def _finding(
    row: StudyRow,
    study: SpeedStudy,
    width: int,
    names: list[str],
    seconds: Floats,
    logs: Floats,
    rng: np.random.Generator,
) -> SpeedFinding:
    sizes = np.array([int(name) for name in names if name != AGAIN])
    of_sizes, n_cycles = logs[:, : sizes.size], len(logs)
    columns = design(sizes, study, width)
    picks = rng.integers(0, n_cycles, (_RESAMPLES, n_cycles))
    medians = np.median(logs[picks], axis=1)  # (resamples, sizes and AGAIN)
    full, alone = list(columns), ["log size", "hamming weight"]
    fit, fit_alone = _fit(columns, full, of_sizes), _fit(columns, alone, of_sizes)
    resampled = _resampled(columns, (full, alone), of_sizes, medians[:, : sizes.size], rng)
    middles = np.median(logs, axis=0)
    return SpeedFinding(
        timing=str(row.key["timing"]),
        machine=str(row.key["machine"]),
        n_cycles=n_cycles,
        sizes=tuple(
            SizeTime(int(size), float(np.median(seconds[:, k])), Interval.of(float(middles[k]), medians[:, k]))
            for k, size in enumerate(sizes)
        ),
        again=Interval.of(float(middles[-1]), medians[:, -1]),
        hamming_alone=Interval.of(fit_alone[0]["hamming weight"], resampled[1]),
        hamming=Interval.of(fit[0]["hamming weight"], resampled[0]),
        terms=fit[0],
        residual=fit[1],
        margin=study.margin,
    )


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
    columns["hamming weight"] = np.array([float(f.hamming_weight) for f in facts])
    columns = {name: column for name, column in columns.items() if np.ptp(column) > 0}
    if not _tells_hamming_weight(columns, sizes.size):
        raise StudyError("sizes of the study do not tell Hamming weight from alignment: add some, or sets of them")
    return columns


def _tells_hamming_weight(columns: Mapping[str, Floats], n_sizes: int) -> bool:
    """Whether Hamming weight varies, and is not a linear combination of the other columns."""
    if "hamming weight" not in columns:
        return False
    others = _matrix(columns, [name for name in columns if name != "hamming weight"], n_sizes)
    rank = np.linalg.matrix_rank(np.column_stack([others, columns["hamming weight"]]))
    return bool(rank > np.linalg.matrix_rank(others))


def _matrix(columns: Mapping[str, Floats], names: Sequence[str], n: int) -> Floats:
    return np.column_stack([np.ones(n), *(columns[name] for name in names)])


def _fit(columns: Mapping[str, Floats], names: Sequence[str], logs: Floats) -> tuple[dict[str, float], float]:
    """Coefficients by name, and the standard deviation of residuals, of the medians over cycles."""
    middles = np.median(logs, axis=0)
    matrix = _matrix(columns, names, middles.size)
    coefficients = np.linalg.lstsq(matrix, middles, rcond=None)[0]
    n_free = max(1, middles.size - np.linalg.matrix_rank(matrix))
    residual = float(np.sqrt(((middles - matrix @ coefficients) ** 2).sum() / n_free))
    return dict(zip(names, coefficients[1:].tolist(), strict=True)), residual


def _resampled(
    columns: Mapping[str, Floats],
    models: tuple[Sequence[str], Sequence[str]],
    logs: Floats,
    medians: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Coefficients of Hamming weight, float64[2, n_resamples], each from resampled sizes and cycles."""
    coefficients = np.zeros((len(models), len(medians)))
    matrices = [_matrix(columns, names, logs.shape[1]) for names in models]
    positions = [1 + list(names).index("hamming weight") for names in models]
    for k, middles in enumerate(medians):
        picks = _resampled_sizes(matrices[0], positions[0], rng)
        for m, (matrix, position) in enumerate(zip(matrices, positions, strict=True)):
            coefficients[m, k] = np.linalg.lstsq(matrix[picks], middles[picks], rcond=None)[0][position]
    return coefficients


def _resampled_sizes(matrix: Floats, position: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Rows drawn with replacement, again until the column `position` is no combination of the others."""
    n = len(matrix)
    while True:
        picks = rng.integers(0, n, n)
        chosen = matrix[picks]
        rest = np.delete(chosen, position, axis=1)
        residual = chosen[:, position] - rest @ np.linalg.lstsq(rest, chosen[:, position], rcond=None)[0]
        if float(residual @ residual) > 1e-6:
            return picks
