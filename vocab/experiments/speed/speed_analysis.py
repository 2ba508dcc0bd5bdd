"""Does Hamming weight cost time once alignment is known? A regression over sizes, with resampled intervals.

The estimate of a size is the median over cycles of log seconds less the mean of that cycle, so that a drifting clock
cancels. Least squares fits these on log size, classes of trailing zeros, the unused rest of the last tile and of the
last wave, and Hamming weight. Sizes are the sample: each has a kernel of its own, and what is left of the noise of
cycles shows in the residuals of sizes. So errors come from these residuals alone (HC3, see `regression`). Resampling
cycles and sizes together counts the noise of cycles twice: its 95% intervals covered 100%.

Hamming weight has no effect when the 90% interval of its coefficient lies within ±margin, which is the pair of
one-sided tests at 5% (Schuirmann 1987). It has an effect when the 95% interval leaves out 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vocab.errors import StudyError
from vocab.experiments.rows import StudyRow
from vocab.experiments.speed.interval import Interval
from vocab.experiments.speed.regression import HAMMING_WEIGHT, Floats, design, fit, variance_inflation
from vocab.experiments.speed.speed_spec import SpeedStudy

Verdict = Literal["no effect", "effect", "small effect", "undecided"]
# The second copy of the reference in each cycle.
AGAIN = "again"
_RESAMPLES = 2000


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
        variance_inflation: how many times the terms of alignment raise the variance of `hamming` (VIF).
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
    variance_inflation: float
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


@dataclass(frozen=True)
class _Times:
    """Log seconds, float64[n_cycles, n_sizes], and those of the second copy of the size at `reference`."""

    sizes: npt.NDArray[np.int64]
    logs: Floats
    again: Floats
    reference: int


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
    logs = np.log(np.array([[cycle[name] for name in names] for cycle in cycles], dtype=np.float64))
    sizes = np.array([int(name) for name in names[:-1]])
    times = _Times(sizes, logs[:, :-1], logs[:, -1], names.index(str(study.reference)))
    return _finding(rows[0], study, width, times, np.random.default_rng(seed))


def _finding(row: StudyRow, study: SpeedStudy, width: int, times: _Times, rng: np.random.Generator) -> SpeedFinding:
    centred = np.median(times.logs - times.logs.mean(axis=1, keepdims=True), axis=0)
    columns = design(times.sizes, study, width)
    whole = fit(columns, list(columns), centred)
    shown, again = _ratios(times, rng)
    return SpeedFinding(
        timing=str(row.key["timing"]),
        machine=str(row.key["machine"]),
        n_cycles=len(times.logs),
        sizes=shown,
        again=again,
        hamming_alone=fit(columns, ["log size", HAMMING_WEIGHT], centred).hamming,
        hamming=whole.hamming,
        terms=whole.terms,
        residual=whole.residual,
        variance_inflation=variance_inflation(columns),
        margin=study.margin,
    )


def _ratios(times: _Times, rng: np.random.Generator) -> tuple[tuple[SizeTime, ...], Interval]:
    """Each size's time beside the reference, and that of the reference's second copy, from resampled cycles."""
    ratios = np.column_stack([times.logs, times.again]) - times.logs[:, [times.reference]]
    picks = rng.integers(0, len(ratios), (_RESAMPLES, len(ratios)))
    resampled, middles = np.median(ratios[picks], axis=1), np.median(ratios, axis=0).tolist()
    intervals = [Interval.of_resamples(middle, resampled[:, k]) for k, middle in enumerate(middles)]
    seconds = np.exp(np.median(times.logs, axis=0)).tolist()
    named = zip(times.sizes.tolist(), seconds, intervals[:-1], strict=True)
    return tuple(SizeTime(*each) for each in named), intervals[-1]
