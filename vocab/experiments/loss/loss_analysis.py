"""The effect of a vocabulary on the loss, at equal bytes, tokens, FLOPs and seconds, with paired intervals.

Every run trains the same model on the same text at a constant learning rate, so that each point of its curve is the end
of a run of that length. A protocol compares curves at an equal amount: the least that any run spent in the end. Between
two marks, bits per byte are interpolated linearly in the logarithm of the amount.

Differences from the baseline are taken seed by seed; intervals are Student's over seeds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from vocab.errors import StudyError
from vocab.experiments.loss.loss_spec import LossStudy
from vocab.experiments.rows import CYCLE, RUN, StudyRow
from vocab.experiments.student import student_quantile

Protocol = Literal["bytes", "tokens", "flops", "seconds"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@dataclass(frozen=True)
class Run:
    """One trained model.

    Attributes:
        arm: name of its arm.
        n_ids: number of ids of its vocabulary.
        seed: its random seed.
        spent: amount of each kind at each mark.
        bits_per_byte: of held-out text, at each mark.
    """

    arm: str
    n_ids: int
    seed: int
    spent: Mapping[Protocol, Sequence[float]]
    bits_per_byte: Sequence[float]

    @property
    def name(self) -> tuple[str, int]:
        """Arm and size, which runs of other seeds share."""
        return self.arm, self.n_ids

    def at(self, protocol: Protocol, amount: float) -> float:
        """Bits per byte at an amount spent; NaN before the first mark."""
        spent = self.spent[protocol]
        if not spent[0] <= amount * (1 + 1e-9):
            return math.nan
        return float(np.interp(math.log(amount), np.log(spent), self.bits_per_byte))


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and half the width of its 95% interval, NaN from one seed."""

    mean: float
    half_width: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        """The estimate from one value for each seed."""
        n = len(values)
        if n < 2:
            return cls(float(np.mean(values)), math.nan)
        error = float(np.std(values, ddof=1)) / math.sqrt(n)
        return cls(float(np.mean(values)), student_quantile(0.975, n - 1) * error)

    @property
    def leaves_out_zero(self) -> bool:
        """Whether 0 lies outside the interval."""
        return abs(self.mean) > self.half_width


@dataclass(frozen=True)
class ArmFinding:
    """The result for one vocabulary.

    Attributes:
        arm: name of its arm.
        n_ids: its number of ids.
        inference: how it cuts text into tokens.
        bytes_per_token: of the training text.
        bytes_per_second: of training; None where its step was not timed.
        n_parameters: of the model.
        n_parameters_without_embeddings: of the model without embedding and head.
        loss: bits per byte, by protocol.
        change: paired change of bits per byte from the baseline, as a share, by protocol.
    """

    arm: str
    n_ids: int
    inference: str
    bytes_per_token: float
    bytes_per_second: float | None
    n_parameters: int
    n_parameters_without_embeddings: int
    loss: Mapping[Protocol, Estimate]
    change: Mapping[Protocol, Estimate]

    @property
    def name(self) -> tuple[str, int]:
        """Arm and size."""
        return self.arm, self.n_ids


@dataclass(frozen=True)
class LossFinding:
    """The result of a study.

    Attributes:
        baseline: arm and size that changes are against.
        arms: the result for each vocabulary.
        amounts: the amount at which each protocol compares.
        runs: all trained models.
    """

    baseline: tuple[str, int]
    arms: tuple[ArmFinding, ...]
    amounts: Mapping[Protocol, float]
    runs: tuple[Run, ...]

    @property
    def noise(self) -> float:
        """Standard deviation over seeds of the last bits per byte, as a share, pooled over vocabularies."""
        last = defaultdict(list)
        for run in self.runs:
            last[run.name].append(math.log(run.bits_per_byte[-1]))
        spreads = [float(np.var(values, ddof=1)) for values in last.values() if len(values) > 1]
        return math.sqrt(float(np.mean(spreads))) if spreads else math.nan

    def frontier(self, protocol: Protocol = "bytes") -> list[ArmFinding]:
        """The vocabularies that no other beats in both bytes a second and loss, by rising speed."""
        timed = [arm for arm in self.arms if arm.bytes_per_second is not None]
        timed.sort(key=lambda arm: -(arm.bytes_per_second or 0))
        best: list[ArmFinding] = []
        for arm in timed:
            if not best or arm.loss[protocol].mean < best[-1].loss[protocol].mean:
                best.append(arm)
        return best[::-1]


def check_one_text(origins: Sequence[Mapping[str, Any]]) -> None:
    """Raise StudyError for runs on different texts, whose losses cannot be compared."""
    texts = {str(origin.get("text_sha256")): origin.get("corpus", ["an unnamed corpus"]) for origin in origins}
    if len(texts) > 1:
        (first, one), (second, other), *_ = texts.items()
        raise StudyError(
            f"runs on different texts cannot stand in one comparison: {', '.join(one)} ({first[:8]}) and "
            f"{', '.join(other)} ({second[:8]}); keep rows of each text in a file of their own"
        )


def analyse_loss(rows: Sequence[StudyRow], study: LossStudy) -> LossFinding:
    """Analyse the rows of a study. Seconds are compared only when every size was timed, on one machine.

    Args:
        rows: runs and cycles.
        study: the study that they belong to.

    Raises:
        StudyError: without runs, without the baseline, where its runs lack a seed that others have, and for runs on
            different texts.
    """
    runs = [row for row in rows if row.key["kind"] == RUN]
    return analyse_runs(runs, study.baseline, step_seconds(rows, study), study.batch * study.seq_len)


def step_seconds(rows: Sequence[StudyRow], study: LossStudy) -> Mapping[int, float]:
    """Median seconds of a step by number of ids, on the machine with most cycles; {} when none was timed."""
    cycles: dict[str, list[Mapping[str, float]]] = {}
    for row in rows:
        if row.key["kind"] == CYCLE and row.key["timing"] == study.step_timing.name:
            cycles.setdefault(str(row.key["machine"]), []).append(row.result["seconds"])
    if not cycles:
        return {}
    most = max(cycles.values(), key=len)
    return {int(name): float(np.median([c[name] for c in most])) for name in most[0] if name.isdecimal()}


def analyse_runs(
    rows: Sequence[StudyRow], baseline: tuple[str, int], step_seconds: Mapping[int, float], timed_tokens: int
) -> LossFinding:
    """The analysis of runs, from the median seconds of a step by number of ids; raises as `analyse_loss` does.

    `timed_tokens` are those of the step that was timed. A run with other steps takes as long for each token.
    """
    if not rows:
        raise StudyError("there are no runs yet: run the study first")
    check_one_text([row.origin for row in rows])
    runs = [_run(row, step_seconds, timed_tokens) for row in rows]
    by_name: dict[tuple[str, int], dict[int, Run]] = defaultdict(dict)
    for run in runs:
        by_name[run.name][run.seed] = run
    _check_baseline(by_name, baseline)
    protocols = [p for p in PROTOCOLS if all(p in run.spent for run in runs)]
    amounts = {protocol: min(run.spent[protocol][-1] for run in runs) for protocol in protocols}
    results = {(str(row.key["arm"]), int(row.key["n_ids"])): row.result for row in rows}
    arms = [
        _arm(name, results[name], by_seed, by_name[baseline], amounts, step_seconds, timed_tokens)
        for name, by_seed in by_name.items()
    ]
    return LossFinding(baseline, tuple(arms), amounts, tuple(runs))


def _check_baseline(by_name: Mapping[tuple[str, int], Mapping[int, Run]], baseline: tuple[str, int]) -> None:
    """Raise StudyError unless the baseline was run with every seed of every other vocabulary."""
    if baseline not in by_name:
        raise StudyError(f"there is no run yet of the baseline {baseline[0]} at {baseline[1]:,} ids")
    for (arm, n_ids), by_seed in by_name.items():
        if lacking := sorted(set(by_seed) - set(by_name[baseline])):
            raise StudyError(f"{arm} at {n_ids:,} ids was run with seed {lacking[0]}, and the baseline was not")


def _run(row: StudyRow, step_seconds: Mapping[int, float], timed_tokens: int) -> Run:
    points, n_ids = row.result["points"], int(row.key["n_ids"])
    spent: dict[Protocol, list[float]] = {
        "bytes": [float(p["bytes"]) for p in points],
        "tokens": [float(p["tokens"]) for p in points],
        "flops": [float(p["tokens"] * row.result["flops_per_token"]) for p in points],
    }
    if n_ids in step_seconds:
        per_token = step_seconds[n_ids] / timed_tokens
        spent["seconds"] = [p["tokens"] * per_token for p in points]
    return Run(str(row.key["arm"]), n_ids, int(row.key["seed"]), spent, [float(p["bits_per_byte"]) for p in points])


def _arm(
    name: tuple[str, int],
    result: Mapping[str, Any],
    runs: Mapping[int, Run],
    baseline: Mapping[int, Run],
    amounts: Mapping[Protocol, float],
    step_seconds: Mapping[int, float],
    timed_tokens: int,
) -> ArmFinding:
    loss, change = {}, {}
    for protocol, amount in amounts.items():
        values = {seed: run.at(protocol, amount) for seed, run in runs.items()}
        loss[protocol] = Estimate.of(list(values.values()))
        change[protocol] = Estimate.of([v / baseline[seed].at(protocol, amount) - 1 for seed, v in values.items()])
    per_token = float(result["bytes_per_token"])
    seconds = step_seconds.get(name[1])
    return ArmFinding(
        arm=name[0],
        n_ids=name[1],
        inference=str(result["inference"]),
        bytes_per_token=per_token,
        bytes_per_second=None if seconds is None else timed_tokens * per_token / seconds,
        n_parameters=int(result["n_parameters"]),
        n_parameters_without_embeddings=int(result["n_parameters_without_embeddings"]),
        loss=loss,
        change=change,
    )
