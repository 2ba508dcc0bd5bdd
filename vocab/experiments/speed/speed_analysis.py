"""Does Hamming weight cost time once alignment is known? A regression over sizes, with resampled intervals.

For each size the estimate is the median over cycles of log(seconds / seconds of the reference in that cycle), so that a
drifting clock cancels. These are fitted by least squares on log size, classes of trailing zeros, what is left over in
the last tile and the last wave, and Hamming weight. Intervals come from resampling cycles and sizes together (Owen
2007, "The pigeonhole bootstrap"): sizes are as much a sample as cycles are, because each has a kernel of its own.

Hamming weight counts as without effect when the 90% interval of its coefficient lies within ±margin, which is the pair
of one-sided tests at 5% (Schuirmann 1987); as an effect when the 95% interval leaves out 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vocab.errors import StudyError
from vocab.experiments.rows import Row
from vocab.experiments.spec import SpeedSpec
from vocab.sizes import padded, size_facts

Floats = npt.NDArray[np.float64]
Verdict = Literal["no effect", "effect", "small effect", "undecided"]
# The second copy of the reference in each cycle.
AGAIN = "again"
# Classes of trailing zeros: from so many on they are one, as a multiple of 64 is aligned for every kernel.
MOST_ZEROS = 6
_RESAMPLES = 2000
# Rows of a tile along the width, in the product that gives the head's gradient (shared with cuBLAS's usual 128 × 256).
_WIDTH_TILE = 256


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds that 95% and 90% of resamples lie within."""

    estimate: float
    low: float
    high: float
    low_90: float
    high_90: float

    @classmethod
    def of(cls, estimate: float, resampled: Floats) -> Interval:
        """From an estimate and its resamples."""
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
    """One size: median seconds, and log of the ratio to the reference with the interval of resampled cycles."""

    n_ids: int
    seconds: float
    log_ratio: Interval


@dataclass(frozen=True)
class SpeedFinding:
    """What one timing on one machine says.

    Attributes:
        timing: name of the timing in the spec.
        machine: where it ran.
        n_cycles: cycles that were taken.
        sizes: times, by rising size.
        again: log ratio of the reference's second copy to the first, which is 0 but for noise (A/A).
        hamming_alone: change of log time for a bit of Hamming weight when only log size is known beside it.
        hamming: the same when alignment is known as well.
        terms: coefficients of the fit with alignment, by name.
        residual: standard deviation of what the fit leaves unexplained, as a share of time.
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
        """What follows for Hamming weight once alignment is known."""
        if self.hamming.is_within(self.margin):
            return "small effect" if self.hamming.leaves_out_zero else "no effect"
        return "effect" if self.hamming.leaves_out_zero else "undecided"

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        found = self.hamming
        amount = f"{found.estimate:+.3%} of time a bit (95% interval {found.low:+.3%} … {found.high:+.3%})"
        within = f"within the ±{self.margin:.2%} that were declared to count as none"
        told = {
            "no effect": f"Hamming weight does not matter once alignment is known: {amount}, {within}",
            "small effect": f"Hamming weight hardly matters once alignment is known: {amount}, {within}",
            "effect": f"Hamming weight matters even when alignment is known: {amount}",
            "undecided": f"it stays open whether Hamming weight matters once alignment is known: {amount}, which "
            f"reaches beyond the declared ±{self.margin:.2%}",
        }
        return f"{self.machine}, {self.timing}: {told[self.verdict]}."


def analyse(rows: Sequence[Row], spec: SpeedSpec, width: int, seed: int = 0) -> SpeedFinding:
    """The finding from the cycles of one timing on one machine, at a width.

    Raises StudyError for rows of several machines or timings, fewer than 2 cycles, cycles that lack a size, and sizes
    by which Hamming weight cannot be told from alignment.
    """
    machines, timings = ({str(row.key[name]) for row in rows} for name in ("machine", "timing"))
    if len(machines) != 1 or len(timings) != 1:
        mixed = machines if len(machines) != 1 else timings
        raise StudyError(f"times of {' and '.join(sorted(mixed)) or 'nothing'} cannot stand in one comparison")
    if len(rows) < 2:
        raise StudyError(f"the timing {timings.pop()} has {len(rows)} cycle: run the study to its end")
    cycles = [row.result["seconds"] for row in rows]
    names = sorted(cycles[0], key=lambda name: (name == AGAIN, int(name) if name != AGAIN else 0))
    if any(set(cycle) != set(names) for cycle in cycles) or AGAIN not in names or str(spec.reference) not in names:
        raise StudyError(f"cycles of the timing {timings.pop()} hold different sizes: rows of two specs are mixed")
    seconds = np.array([[cycle[name] for name in names] for cycle in cycles], dtype=np.float64)
    logs = np.log(seconds) - np.log(seconds[:, [names.index(str(spec.reference))]])
    return _finding(rows[0], spec, width, names, seconds, logs, np.random.default_rng(seed))


def _finding(
    row: Row, spec: SpeedSpec, width: int, names: list[str], seconds: Floats, logs: Floats, rng: np.random.Generator
) -> SpeedFinding:
    sizes = np.array([int(name) for name in names if name != AGAIN])
    of_sizes, n_cycles = logs[:, : sizes.size], len(logs)
    columns = design(sizes, spec, width)
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
        margin=spec.margin,
    )


def design(sizes: npt.NDArray[np.int64], spec: SpeedSpec, width: int) -> dict[str, Floats]:
    """Columns of the regression by name, float64[n_sizes] each; those that are the same for all sizes are left out.

    Raises StudyError when Hamming weight follows from the others.
    """
    facts = [size_facts(int(size)) for size in sizes]
    zeros = np.array([min(f.trailing_zeros, MOST_ZEROS) for f in facts])
    tiles = np.array([padded(int(size), spec.tile) // spec.tile for size in sizes], dtype=np.float64)
    found: dict[str, Floats] = {"log size": np.log(sizes.astype(np.float64))}
    for k in range(1, MOST_ZEROS + 1):
        found[f"{k}{' or more' if k == MOST_ZEROS else ''} trailing zeros"] = (zeros == k).astype(np.float64)
    found["part of the last tile left over"] = np.log(tiles * spec.tile / sizes)
    if spec.waves:
        n = tiles * math.ceil(width / _WIDTH_TILE)
        found["part of the last wave left over"] = np.log(np.ceil(n / spec.waves) * spec.waves / n)
    found["hamming weight"] = np.array([float(f.hamming_weight) for f in facts])
    found = {name: column for name, column in found.items() if np.ptp(column) > 0}
    others = _matrix(found, [name for name in found if name != "hamming weight"], sizes.size)
    if "hamming weight" not in found or np.linalg.matrix_rank(
        np.column_stack([others, found["hamming weight"]])
    ) <= np.linalg.matrix_rank(others):
        raise StudyError("sizes of the study do not tell Hamming weight from alignment: add some, or sets of them")
    return found


def _matrix(columns: Mapping[str, Floats], names: Sequence[str], n: int) -> Floats:
    return np.column_stack([np.ones(n), *(columns[name] for name in names)])


def _fit(columns: Mapping[str, Floats], names: Sequence[str], logs: Floats) -> tuple[dict[str, float], float]:
    """Coefficients by name, and the standard deviation of what is left, of medians over cycles."""
    middles = np.median(logs, axis=0)
    matrix = _matrix(columns, names, middles.size)
    found = np.linalg.lstsq(matrix, middles, rcond=None)[0]
    free = max(1, middles.size - np.linalg.matrix_rank(matrix))
    residual = float(np.sqrt(((middles - matrix @ found) ** 2).sum() / free))
    return dict(zip(names, found[1:].tolist(), strict=True)), residual


def _resampled(
    columns: Mapping[str, Floats],
    models: tuple[Sequence[str], Sequence[str]],
    logs: Floats,
    medians: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Coefficients of Hamming weight, float64[2, n_resamples], each from resampled sizes and cycles.

    A resample by which Hamming weight cannot be told from the rest is drawn again.
    """
    n, found = logs.shape[1], np.zeros((len(models), len(medians)))
    matrices = [_matrix(columns, names, n) for names in models]
    places = [1 + list(names).index("hamming weight") for names in models]
    for k, middles in enumerate(medians):
        picks = _telling(matrices[0], places[0], rng)
        for m, (matrix, place) in enumerate(zip(matrices, places, strict=True)):
            found[m, k] = np.linalg.lstsq(matrix[picks], middles[picks], rcond=None)[0][place]
    return found


def _telling(matrix: Floats, place: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Resampled rows in which one column does not follow from the others."""
    n = len(matrix)
    while True:
        picks = rng.integers(0, n, n)
        chosen = matrix[picks]
        rest = np.delete(chosen, place, axis=1)
        left = chosen[:, place] - rest @ np.linalg.lstsq(rest, chosen[:, place], rcond=None)[0]
        if float(left @ left) > 1e-6:
            return picks
